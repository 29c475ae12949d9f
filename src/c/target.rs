//! The program's functions, as they are kept.

use std::ffi::c_void;
#[cfg(feature = "python")]
use std::{
    num::NonZeroUsize,
    ptr::{with_exposed_provenance, with_exposed_provenance_mut},
};

use super::article::ArticleFunction;

/// A handler of the fuller API; see [`super::response::gohttp_handler`].
pub(crate) type Function = unsafe extern "C" fn(w: u32, r: u32, data: *mut c_void);

/// A function of C's that answers requests.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// As the article has it.
    Article(ArticleFunction),
    /// Of the fuller API, with what it is given besides.
    Full(Function, UserData),
}

/// A pointer of the program's, which only the program follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserData(pub(super) *mut c_void);

#[expect(unsafe_code, reason = "raw pointers are not Send by themselves")]
// SAFETY: the library never follows the pointer. It hands it to the program's own functions, which
// are called from many threads, as the header says.
unsafe impl Send for UserData {}

#[expect(unsafe_code, reason = "raw pointers are not Sync by themselves")]
// SAFETY: as for Send.
unsafe impl Sync for UserData {}

#[cfg(feature = "python")]
impl Target {
    /// A handler of the fuller API at `address`, given `data`.
    ///
    /// # Safety
    /// A function of the type gohttp_handler is there, callable from any thread for as long as the
    /// result is used.
    #[expect(unsafe_code, reason = "an address is taken for a function's")]
    pub(crate) unsafe fn full(address: NonZeroUsize, data: usize) -> Self {
        let address = with_exposed_provenance::<c_void>(address.get());
        // SAFETY: as the caller promises; pointers to functions and to data have the same size here.
        let function = unsafe { std::mem::transmute::<*const c_void, Function>(address) };
        Self::Full(function, UserData(with_exposed_provenance_mut(data)))
    }

    /// The same with a handler of the article's, a FuncPtr.
    ///
    /// # Safety
    /// As [`Self::full`], with the type FuncPtr.
    #[expect(unsafe_code, reason = "an address is taken for a function's")]
    pub(crate) unsafe fn article(address: NonZeroUsize) -> Self {
        let address = with_exposed_provenance::<c_void>(address.get());
        // SAFETY: as in `full`.
        let function = unsafe { std::mem::transmute::<*const c_void, ArticleFunction>(address) };
        Self::Article(function)
    }
}
