//! The socket, and the threads of its connections.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sprat_elements::control::{Conversation, HandlerAccess};

/// Connections at a time; one more is closed.
const CONNECTIONS: usize = 32;

/// How long a connection may take none of what it is sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long connections have to take what was said last when the run is over.
const FAREWELL: Duration = Duration::from_millis(500);

/// What answers a connection; each has its own.
pub trait Asker: HandlerAccess + Clone + Send + 'static {}

impl<T: HandlerAccess + Clone + Send + 'static> Asker for T {}

/// A socket that is listened on.
pub struct Server {
    listener: Arc<UnixListener>,
    /// Its file, which goes with it, and the file's number: what stands under the path later may be
    /// another's.
    file: Option<(PathBuf, u64)>,
    connections: Arc<Connections>,
}

#[derive(Default)]
struct Connections {
    open: Mutex<Vec<Arc<UnixStream>>>,
    closed: Condvar,
    /// Nothing is listened to any more.
    over: AtomicBool,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<UnixStream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a connection, unless there are too many.
    fn begin(self: &Arc<Self>, stream: UnixStream, asker: impl Asker) {
        let stream = Arc::new(stream);
        {
            let mut open = self.lock();
            if open.len() >= CONNECTIONS {
                return;
            }
            open.push(stream.clone());
        }
        let all = self.clone();
        let serve = move || {
            // It is over one way or the other.
            let _ = converse(&stream, asker);
            all.lock().retain(|known| !Arc::ptr_eq(known, &stream));
            all.closed.notify_all();
        };
        if thread::Builder::new().spawn(serve).is_err() {
            // The system has no thread for it; the connection is the newest one.
            self.lock().pop();
        }
    }
}

impl Server {
    /// Listens on a socket of its owner alone.
    ///
    /// # Errors
    /// Somebody else does, or there cannot be one.
    pub fn open(path: &Path, asker: impl Asker) -> io::Result<Self> {
        let mut server = Self::over(bind(path)?, asker)?;
        server.file = Some((path.to_owned(), fs::symlink_metadata(path)?.ino()));
        Ok(server)
    }

    /// Serves a socket that is listened on already, whose file is somebody else's care.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn over(listener: UnixListener, asker: impl Asker) -> io::Result<Self> {
        let listener = Arc::new(listener);
        let connections = Arc::<Connections>::default();
        let (all, heard) = (connections.clone(), listener.clone());
        thread::Builder::new().spawn(move || {
            for stream in heard.incoming() {
                match stream {
                    _ if all.over.load(Ordering::Acquire) => return,
                    Ok(stream) => all.begin(stream, asker.clone()),
                    // No descriptor is free; one will be.
                    Err(_) => thread::sleep(Duration::from_millis(100)),
                }
            }
        })?;
        Ok(Self {
            listener,
            file: None,
            connections,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((path, inode)) = &self.file
            && fs::symlink_metadata(path).is_ok_and(|found| found.ino() == *inode)
        {
            let _ = fs::remove_file(path);
        }
        // What waits for connections is woken by this, and ends.
        self.connections.over.store(true, Ordering::Release);
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
        let open = self.connections.lock();
        for stream in &*open {
            // Whoever is being answered still gets the answer.
            let _ = stream.shutdown(std::net::Shutdown::Read);
        }
        let some = |open: &mut Vec<_>| !open.is_empty();
        let _ = self
            .connections
            .closed
            .wait_timeout_while(open, FAREWELL, some);
    }
}

/// Listens, on a socket of its owner alone; one that was left behind is replaced.
///
/// # Errors
/// Somebody else listens, or there cannot be one.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = fs::symlink_metadata(path)?.file_type().is_socket();
            match UnixStream::connect(path) {
                // Nobody listens: it is of a process that was killed.
                Err(refused) if is_socket && refused.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path)?;
                    UnixListener::bind(path)?
                }
                _ => return Err(error),
            }
        }
        other => other?,
    };
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn converse(mut stream: &UnixStream, mut asker: impl Asker) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut conversation = Conversation::new();
    let mut piece = [0; 4096];
    loop {
        while conversation.advance(&mut asker, false) {}
        stream.write_all(conversation.output())?;
        conversation.sent(conversation.output().len());
        if conversation.is_closing() {
            return Ok(());
        }
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            count => conversation.receive(&piece[..count]),
        }
    }
}
