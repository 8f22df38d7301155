//! From the platform's entry to the application and back: parameters, logs, the exit status.

use alloc::format;
use core::error::Error;
use core::future::Future;

use sprat_platform::Platform as _;

use crate::parameters::{Given, ParameterError, Parameters, help};
use crate::target::platform;
use crate::{executor, logging};

/// The status of an application that failed.
const FAILED: i32 = 1;

/// The status of one that was started with wrong parameters.
const MISUSED: i32 = 2;

/// What an application may return.
pub trait Outcome {
    /// The exit status, after saying what went wrong.
    fn status(self) -> i32;
}

impl Outcome for () {
    fn status(self) -> i32 {
        0
    }
}

/// An exit status of the application's own choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub i32);

impl Outcome for Status {
    fn status(self) -> i32 {
        self.0
    }
}

impl<T: Outcome, E: Failure> Outcome for Result<T, E> {
    fn status(self) -> i32 {
        match self {
            Ok(outcome) => outcome.status(),
            Err(error) => error.status(),
        }
    }
}

/// What an application may fail with.
pub trait Failure {
    /// The exit status, after saying what went wrong.
    fn status(self) -> i32;
}

/// The application has said what is wrong itself.
impl Failure for Status {
    fn status(self) -> i32 {
        self.0
    }
}

impl<E: Error> Failure for E {
    fn status(self) -> i32 {
        say_error(&self)
    }
}

/// Says what went wrong; the exit status of an application that failed.
pub(crate) fn say_error(error: &dyn core::fmt::Display) -> i32 {
    say(&format!("error: {error}\n"));
    FAILED
}

fn say(text: &str) {
    platform().write_console(text.as_bytes());
}

/// Reads the parameters; prints the help or what is wrong with them instead of going on.
fn prepare<P: Parameters>() -> Result<P, i32> {
    logging::start();
    let wrong = |error: ParameterError| {
        say(&format!("error: {error}\n"));
        MISUSED
    };
    let given = Given::read(platform().parameters()).map_err(wrong)?;
    if given.text("help").is_some() {
        say(&help(P::DECLARED));
        return Err(0);
    }
    given.check_names(P::DECLARED).map_err(wrong)?;
    if let Some(levels) = given.text("log") {
        logging::set_levels(levels).map_err(|error| {
            say(&format!("error: parameter 'log': {error}\n"));
            MISUSED
        })?;
    }
    P::from_given(&given).map_err(wrong)
}

/// Runs an application; its exit status. Called by [`entry!`](crate::entry).
#[doc(hidden)]
pub fn start<P: Parameters, O: Outcome>(application: impl FnOnce(P) -> O) -> i32 {
    prepare().map_or_else(
        |status| status,
        |parameters| application(parameters).status(),
    )
}

/// Runs an asynchronous application; its exit status. Called by [`entry!`](crate::entry).
#[doc(hidden)]
pub fn start_async<P, F>(application: impl FnOnce(P) -> F) -> i32
where
    P: Parameters,
    F: Future + 'static,
    F::Output: Outcome + 'static,
{
    crate::control::serve_beside(crate::inside::answer);
    start(|parameters| executor::run(application(parameters)))
}

/// Ends the program at once.
pub fn exit(status: i32) -> ! {
    platform().exit(status)
}

/// Names the function that the program begins with. It takes the boot parameters (a structure made
/// by [`parameters!`](crate::parameters!), or `()`), and returns `()`, a [`Status`]
/// or a `Result` of either.
///
/// ```ignore
/// sprat::entry!(run);          // fn run(options: Options) -> Result<(), Error>
/// sprat::entry!(async serve);  // async fn serve(options: Options)
/// ```
#[macro_export]
macro_rules! entry {
    (async $function:path) => {
        $crate::entry!(@entry $crate::start_async($function));
    };
    (@entry $start:expr) => {
        /// Called by the platform's entry.
        #[cfg(sprat_target = "vm")]
        #[unsafe(no_mangle)]
        fn sprat_main() -> i32 {
            $start
        }

        #[cfg(not(sprat_target = "vm"))]
        fn main() {
            $crate::exit($start)
        }
    };
    ($function:path) => {
        $crate::entry!(@entry $crate::start($function));
    };
}

/// Places the image's manifest: its name and version (from Cargo.toml), what it wants, and its
/// parameters.
///
/// ```ignore
/// sprat::manifest! {
///     parameters: Options,
///     |manifest| manifest.device("eth0", DeviceKind::Network, true)
/// }
/// ```
#[macro_export]
macro_rules! manifest {
    (parameters: $parameters:ty $(, |$builder:ident| $wants:expr)? $(,)?) => {
        const _: () = {
            const MANIFEST: $crate::abi::manifest::ManifestBuilder = {
                let builder = $crate::abi::manifest::ManifestBuilder::new(
                    env!("CARGO_PKG_NAME"),
                    env!("CARGO_PKG_VERSION"),
                );
                $(let builder = { let $builder = builder; $wants };)?
                $crate::declare_parameters(
                    builder,
                    <$parameters as $crate::parameters::Parameters>::DECLARED,
                )
            };
            $crate::abi::manifest_note!(MANIFEST);
        };
    };
}
