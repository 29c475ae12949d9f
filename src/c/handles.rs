//! Numbers that stand for objects, so that C never holds a pointer of ours.
//!
//! A number is a place in a table, a kind, and how often the place had been used before. Of a
//! stale number the last is wrong, of a forged one something is, and both are found out. Places
//! are used again in turn, never at once: a stale number is only taken for a new one if it is kept
//! for some four million further objects, and then by chance.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};

use crate::wake::lock;

/// Bits of the place.
const PLACE: u32 = 17;
/// Places there can be.
const PLACES: u32 = 1 << PLACE;
/// Places made at a time.
const CHUNK: u32 = 512;
/// Free places that are kept, so that one is not used again soon.
const SPARE: usize = 256;
/// Generations of a place: 1 to this.
const GENERATIONS: u32 = (1 << (32 - PLACE - 1)) - 1;

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Exchange = 0,
    #[cfg(any(feature = "c", test))]
    Server = 1,
}

struct Held<T> {
    generation: u32,
    object: Option<Arc<T>>,
}

type Chunk<T> = Box<[Mutex<Held<T>>]>;

struct Free {
    places: VecDeque<u32>,
    made: u32,
}

/// A table of objects. See the module's text.
pub(super) struct Table<T> {
    kind: Kind,
    chunks: [OnceLock<Chunk<T>>; (PLACES / CHUNK) as usize],
    free: Mutex<Free>,
}

impl<T> Table<T> {
    /// A table for things of this kind.
    pub(super) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            chunks: [const { OnceLock::new() }; (PLACES / CHUNK) as usize],
            free: Mutex::new(Free { places: VecDeque::new(), made: 0 }),
        }
    }

    /// Enters an object. `None` if there are too many.
    pub(super) fn insert(&self, object: Arc<T>) -> Option<u32> {
        let place = self.take_place()?;
        let mut held = lock(self.place(place)?);
        held.object = Some(object);
        Some(held.generation << (PLACE + 1) | (self.kind as u32) << PLACE | place)
    }

    /// What a number stands for, if it does.
    pub(super) fn get(&self, number: u32) -> Option<Arc<T>> {
        let (generation, place) = self.split(number)?;
        let held = lock(self.place(place)?);
        held.object.as_ref().filter(|_| held.generation == generation).cloned()
    }

    /// Takes an object out: its number is stale from now on.
    pub(super) fn remove(&self, number: u32) -> Option<Arc<T>> {
        let (generation, place) = self.split(number)?;
        let object = {
            let mut held = lock(self.place(place)?);
            if held.generation != generation {
                return None;
            }
            let object = held.object.take()?;
            held.generation = generation % GENERATIONS + 1;
            object
        };
        lock(&self.free).places.push_back(place);
        Some(object)
    }

    /// Generation and place, if the number is of this table's kind.
    fn split(&self, number: u32) -> Option<(u32, u32)> {
        let kind = number >> PLACE & 1;
        (kind == self.kind as u32).then_some((number >> (PLACE + 1), number & (PLACES - 1)))
    }

    fn place(&self, place: u32) -> Option<&Mutex<Held<T>>> {
        self.chunks[(place / CHUNK) as usize].get()?.get((place % CHUNK) as usize)
    }

    fn take_place(&self) -> Option<u32> {
        let mut free = lock(&self.free);
        if free.places.len() <= SPARE && free.made < PLACES {
            let first = free.made;
            self.chunks[(first / CHUNK) as usize].get_or_init(|| {
                (0..CHUNK).map(|_| Mutex::new(Held { generation: 1, object: None })).collect()
            });
            free.places.extend(first..first + CHUNK);
            free.made += CHUNK;
        }
        free.places.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_good_until_its_object_is_taken_out() {
        let table = Table::new(Kind::Exchange);
        let number = table.insert(Arc::new("a")).expect("room");
        assert_ne!(number, 0);
        assert_eq!(table.get(number).as_deref(), Some(&"a"));
        assert_eq!(table.remove(number).as_deref(), Some(&"a"));
        assert_eq!(table.get(number), None);
        assert_eq!(table.remove(number), None);
    }

    #[test]
    fn numbers_do_not_come_again_soon() {
        let table = Table::new(Kind::Exchange);
        let first = table.insert(Arc::new(0)).expect("room");
        table.remove(first);
        for n in 0..100_000 {
            let number = table.insert(Arc::new(n)).expect("room");
            assert_ne!(number, first);
            assert_eq!(table.get(first), None);
            table.remove(number);
        }
    }

    #[test]
    fn forged_numbers_and_those_of_another_table_are_found_out() {
        let table = Table::new(Kind::Exchange);
        let servers = Table::new(Kind::Server);
        let number = table.insert(Arc::new(1)).expect("room");
        let server = servers.insert(Arc::new(2)).expect("room");
        assert_eq!((table.get(server), servers.get(number)), (None, None));
        for bit in 0..32 {
            assert_eq!(table.get(number ^ 1 << bit), None, "bit {bit}");
        }
        assert_eq!((table.get(0), table.get(u32::MAX), servers.get(0)), (None, None, None));
    }

    #[test]
    fn a_full_table_says_so_and_has_room_again() {
        let table = Table::new(Kind::Server);
        let numbers: Vec<u32> = (0..PLACES).map_while(|n| table.insert(Arc::new(n))).collect();
        assert_eq!(numbers.len(), PLACES as usize);
        assert_eq!(table.insert(Arc::new(0)), None);
        assert_eq!(table.remove(numbers[7]).as_deref(), Some(&7));
        assert!(table.insert(Arc::new(0)).is_some());
    }

    #[test]
    fn threads_that_race_take_an_object_out_once() {
        let table = Table::new(Kind::Exchange);
        for n in 0..200 {
            let number = table.insert(Arc::new(n)).expect("room");
            let taken: usize = std::thread::scope(|scope| {
                let racers: Vec<_> =
                    (0..4).map(|_| scope.spawn(|| table.remove(number).is_some())).collect();
                racers.into_iter().map(|r| usize::from(r.join().expect("no panic"))).sum()
            });
            assert_eq!(taken, 1);
        }
    }
}
