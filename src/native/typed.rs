//! Types of Python's for what comes from Python modules of ours, so that the stubs can say them.

use std::convert::Infallible;
use std::marker::PhantomData;

use pyo3::inspect::{PyStaticConstant, PyStaticExpr, PyStaticOperator};
use pyo3::prelude::*;

/// A type as a stub names it.
pub(super) trait Named {
    const TYPE: PyStaticExpr;
}

/// An object that is known to be a `T`.
pub(super) struct Typed<'py, T>(Bound<'py, PyAny>, PhantomData<T>);

impl<'py, T> Typed<'py, T> {
    pub(super) fn new(object: Bound<'py, PyAny>) -> Self {
        Self(object, PhantomData)
    }
}

impl<'py, T: Named> IntoPyObject<'py> for Typed<'py, T> {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = Infallible;

    const OUTPUT_TYPE: PyStaticExpr = T::TYPE;

    fn into_pyobject(self, _: Python<'py>) -> Result<Self::Output, Infallible> {
        Ok(self.0)
    }
}

const STR: PyStaticExpr = PyStaticExpr::Name { id: "str" };
const BYTES: PyStaticExpr = PyStaticExpr::Name { id: "bytes" };
const NONE: PyStaticExpr = PyStaticExpr::Constant { value: PyStaticConstant::None };
const ANY: PyStaticExpr =
    PyStaticExpr::Attribute { value: &PyStaticExpr::Name { id: "typing" }, attr: "Any" };
const REQUEST: PyStaticExpr = PyStaticExpr::Name { id: "gohttp._request" };
const RESPONSE: PyStaticExpr = PyStaticExpr::Name { id: "gohttp._response" };

/// `str`
pub(super) struct Text;

impl Named for Text {
    const TYPE: PyStaticExpr = STR;
}

/// `None`
pub(super) struct Nothing;

impl Named for Nothing {
    const TYPE: PyStaticExpr = NONE;
}

/// `Any`
pub(super) struct Anything;

impl Named for Anything {
    const TYPE: PyStaticExpr = ANY;
}

/// `gohttp._request.Values`
pub(super) struct Values;

impl Named for Values {
    const TYPE: PyStaticExpr = PyStaticExpr::Attribute { value: &REQUEST, attr: "Values" };
}

/// `gohttp._form.Form`
pub(super) struct Form;

impl Named for Form {
    const TYPE: PyStaticExpr =
        PyStaticExpr::Attribute { value: &PyStaticExpr::Name { id: "gohttp._form" }, attr: "Form" };
}

/// `dict[str, str]`
pub(super) struct Texts;

impl Named for Texts {
    const TYPE: PyStaticExpr = PyStaticExpr::Subscript {
        value: &PyStaticExpr::Name { id: "dict" },
        slice: &PyStaticExpr::Tuple { elts: &[STR, STR] },
    };
}

/// `dict[Any, Any]`
pub(super) struct Things;

impl Named for Things {
    const TYPE: PyStaticExpr = PyStaticExpr::Subscript {
        value: &PyStaticExpr::Name { id: "dict" },
        slice: &PyStaticExpr::Tuple { elts: &[ANY, ANY] },
    };
}

/// `tuple[str, str] | None`
pub(super) struct Credentials;

impl Named for Credentials {
    const TYPE: PyStaticExpr = PyStaticExpr::BinOp {
        left: &PyStaticExpr::Subscript {
            value: &PyStaticExpr::Name { id: "tuple" },
            slice: &PyStaticExpr::Tuple { elts: &[STR, STR] },
        },
        op: PyStaticOperator::BitOr,
        right: &NONE,
    };
}

/// `gohttp._response.EventStream`
pub(super) struct Events;

impl Named for Events {
    const TYPE: PyStaticExpr = PyStaticExpr::Attribute { value: &RESPONSE, attr: "EventStream" };
}

/// `gohttp._response.CookieSetter`
pub(super) struct CookieSetter;

impl Named for CookieSetter {
    const TYPE: PyStaticExpr = PyStaticExpr::Attribute { value: &RESPONSE, attr: "CookieSetter" };
}

/// `socket.socket`
pub(super) struct Socket;

impl Named for Socket {
    const TYPE: PyStaticExpr =
        PyStaticExpr::Attribute { value: &PyStaticExpr::Name { id: "socket" }, attr: "socket" };
}

/// `gohttp._websocket.AsyncWebSocket`
pub(super) struct AsyncWebSocket;

impl Named for AsyncWebSocket {
    const TYPE: PyStaticExpr = PyStaticExpr::Attribute {
        value: &PyStaticExpr::Name { id: "gohttp._websocket" },
        attr: "AsyncWebSocket",
    };
}

/// `collections.abc.Iterator[str]`
pub(super) struct TextIterator;

impl Named for TextIterator {
    const TYPE: PyStaticExpr = PyStaticExpr::Subscript {
        value: &PyStaticExpr::Attribute {
            value: &PyStaticExpr::Name { id: "collections.abc" },
            attr: "Iterator",
        },
        slice: &STR,
    };
}

/// `collections.abc.Awaitable[None]`
pub(super) struct Awaited;

impl Named for Awaited {
    const TYPE: PyStaticExpr = PyStaticExpr::Subscript {
        value: &PyStaticExpr::Attribute {
            value: &PyStaticExpr::Name { id: "collections.abc" },
            attr: "Awaitable",
        },
        slice: &NONE,
    };
}

/// `str | bytes`
pub(super) struct Message;

impl Named for Message {
    const TYPE: PyStaticExpr =
        PyStaticExpr::BinOp { left: &STR, op: PyStaticOperator::BitOr, right: &BYTES };
}

/// An argument that is text or bytes-like: `str | ReadableBuffer`.
pub(super) struct TextOrBytes<'py>(pub(super) Bound<'py, PyAny>);

impl<'py> FromPyObject<'_, 'py> for TextOrBytes<'py> {
    type Error = Infallible;

    const INPUT_TYPE: PyStaticExpr = PyStaticExpr::BinOp {
        left: &STR,
        op: PyStaticOperator::BitOr,
        right: &PyStaticExpr::Attribute {
            value: &PyStaticExpr::Name { id: "_typeshed" },
            attr: "ReadableBuffer",
        },
    };

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Infallible> {
        Ok(Self(object.to_owned()))
    }
}

/// An argument that gives fields: `SupportsKeysAndGetItem[str, str] | Iterable[tuple[str, str]]`.
pub(super) struct Fields<'py>(pub(super) Bound<'py, PyAny>);

impl<'py> FromPyObject<'_, 'py> for Fields<'py> {
    type Error = Infallible;

    const INPUT_TYPE: PyStaticExpr = PyStaticExpr::BinOp {
        left: &PyStaticExpr::Subscript {
            value: &PyStaticExpr::Attribute {
                value: &PyStaticExpr::Name { id: "_typeshed" },
                attr: "SupportsKeysAndGetItem",
            },
            slice: &PyStaticExpr::Tuple { elts: &[STR, STR] },
        },
        op: PyStaticOperator::BitOr,
        right: &PyStaticExpr::Subscript {
            value: &PyStaticExpr::Attribute {
                value: &PyStaticExpr::Name { id: "collections.abc" },
                attr: "Iterable",
            },
            slice: &PyStaticExpr::Subscript {
                value: &PyStaticExpr::Name { id: "tuple" },
                slice: &PyStaticExpr::Tuple { elts: &[STR, STR] },
            },
        },
    };

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Infallible> {
        Ok(Self(object.to_owned()))
    }
}

/// An argument of any type that can be told from none, `None` being one.
pub(super) enum Fallback<'py> {
    Absent,
    Given(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Fallback<'py> {
    type Error = Infallible;

    const INPUT_TYPE: PyStaticExpr = ANY;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Infallible> {
        Ok(Self::Given(object.to_owned()))
    }
}
