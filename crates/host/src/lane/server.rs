//! A lane's socket, and the threads of its connections.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use sprat_elements::control::HandlerAccess as _;

use super::asker::{HandlerQuestion, InstanceAsker, MetricsQuestion};
use super::bell::Bell;
use crate::control::{Console, METRICS};
use crate::descriptors::{Lines, send};
use crate::protocol::{Answer, Event, LINE_LIMIT, Request, line};

/// Events that may wait to be told.
const EVENTS: usize = 1024;

/// What somebody asks, and where the answer goes.
pub(super) enum Question {
    /// The lane.
    Lane {
        request: Request,
        descriptors: Vec<OwnedFd>,
        reply: Sender<Answer>,
    },
    /// An instance.
    Handler(HandlerQuestion),
    /// The same, about what is counted.
    Metrics(MetricsQuestion),
    /// What happens from now on.
    Watch(SyncSender<Event>),
}

/// Serves every connection on a thread of its own.
pub(super) fn serve(
    listener: UnixListener,
    questions: Sender<Question>,
    bell: Bell,
) -> io::Result<()> {
    let accept = move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // No descriptor is free; one will be.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            let (questions, bell) = (questions.clone(), bell.clone());
            let converse = move || {
                // It is over one way or the other.
                let _ = converse(&stream, &questions, &bell);
            };
            let _ = thread::Builder::new().spawn(converse);
        }
    };
    thread::Builder::new()
        .name("listener".into())
        .spawn(accept)?;
    Ok(())
}

fn converse(stream: &UnixStream, questions: &Sender<Question>, bell: &Bell) -> io::Result<()> {
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = Lines::new(stream, LINE_LIMIT, true);
    while let Some((text, descriptors)) = lines.next()? {
        let answer = match serde_json::from_slice(&text) {
            Ok(Request::Watch) => {
                let (events, happening) = sync_channel(EVENTS);
                if questions.send(Question::Watch(events)).is_ok() {
                    bell.ring();
                    tell(stream, &happening)?;
                }
                return Ok(());
            }
            Ok(Request::Metrics { instance }) => {
                let mut asker = InstanceAsker {
                    instance,
                    questions: questions.clone(),
                    bell: bell.clone(),
                    console: Console::default(),
                };
                match asker.read(METRICS, "") {
                    Ok(text) => Answer::Text(text),
                    Err(error) => Answer::Refused(error.to_string()),
                }
            }
            Ok(request) => {
                let (reply, answer) = channel();
                let question = Question::Lane {
                    request,
                    descriptors,
                    reply,
                };
                if questions.send(question).is_err() {
                    return Ok(());
                }
                bell.ring();
                let gone = |_| Answer::Refused("the lane has ended".into());
                answer.recv().unwrap_or_else(gone)
            }
            Err(error) => Answer::Refused(format!("not understood: {error}")),
        };
        send(stream, &line(&answer)?, &[])?;
    }
    Ok(())
}

/// Tells what happens until the lane ends, or another is told instead.
fn tell(stream: &UnixStream, happening: &Receiver<Event>) -> io::Result<()> {
    for event in happening {
        send(stream, &line(&event)?, &[])?;
    }
    Ok(())
}
