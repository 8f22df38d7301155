//! Statics that belong to the instance's one thread.
//!
//! A sealed instance has one thread and nothing interrupts it; an ordinary program may run an
//! instance on each of several threads (tests do), so there they are thread-local.

/// A static in an image: reached only by its one thread.
#[cfg(sprat_target = "vm")]
pub(crate) struct Local<T>(T);

// SAFETY: a sealed instance has one thread, and no signal or interrupt is ever delivered to it, so
// no two accesses run at the same time.
#[cfg(sprat_target = "vm")]
unsafe impl<T> Sync for Local<T> {}

#[cfg(sprat_target = "vm")]
impl<T> Local<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }

    /// Lends the value, as `std::thread::LocalKey::with` does.
    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&T) -> R) -> R {
        use_it(&self.0)
    }
}

/// Declares a static that belongs to the instance's thread; its value must be a constant.
#[cfg(sprat_target = "vm")]
macro_rules! local {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;) => {
        $(#[$attribute])*
        static $name: $crate::local::Local<$type> = $crate::local::Local::new($value);
    };
}

/// Declares a static that belongs to the instance's thread; its value must be a constant. It is never
/// dropped, as in an image: tasks that are left when a program ends hold timers and wake others, whose
/// statics would be gone.
#[cfg(not(sprat_target = "vm"))]
macro_rules! local {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;) => {
        std::thread_local! {
            $(#[$attribute])*
            static $name: core::mem::ManuallyDrop<$type> =
                const { core::mem::ManuallyDrop::new($value) };
        }
    };
}

pub(crate) use local;
