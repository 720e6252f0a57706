//! The only code that touches the terminal: opens it, draws, reads keys, and gives it back on every way
//! out.
//!
//! A panic, on whatever thread, first gives the terminal back, so that its message can be read; the
//! screen then draws no more.

use std::io::{self, Stdout, Write as _};
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crossterm::cursor::Show;
use crossterm::event::{self, DisableMouseCapture, EnableMouseCapture, Event};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use parking_lot::Mutex;
use ratatui::Frame;
use ratatui::backend::CrosstermBackend;

/// A key held down or a pasted page must not keep the screen from being drawn.
const MAX_EVENTS: usize = 64;
/// How long a panicking thread waits for a frame to be finished; a frame takes some milliseconds.
const FRAME_PATIENCE: Duration = Duration::from_millis(200);

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// The terminal in raw mode on its alternate screen; dropping gives it back.
pub(super) struct Terminal {
    screen: ratatui::Terminal<CrosstermBackend<Stdout>>,
    guard: Arc<Guard>,
    /// The panic hook that was there before; put back afterwards.
    previous: Arc<Hook>,
}

/// Gives the terminal back once, whoever asks first.
struct Guard {
    given_up: AtomicBool,
    /// Held while a frame is written: a panic elsewhere must not leave the alternate screen within one.
    frame: Mutex<()>,
    owner: ThreadId,
}

impl Terminal {
    /// Takes the terminal over.
    pub(super) fn open() -> io::Result<Self> {
        let guard = Arc::new(Guard {
            given_up: AtomicBool::new(false),
            frame: Mutex::new(()),
            owner: std::thread::current().id(),
        });
        enable_raw_mode()?;
        let opened = execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture)
            .and_then(|()| ratatui::Terminal::new(CrosstermBackend::new(io::stdout())));
        let screen = opened.inspect_err(|_| guard.give_up())?;
        let previous: Arc<Hook> = panic::take_hook().into();
        let (in_hook, then) = (Arc::clone(&guard), Arc::clone(&previous));
        panic::set_hook(Box::new(move |info| {
            in_hook.give_up_between_frames();
            then(info);
        }));
        Ok(Self { screen, guard, previous })
    }

    /// Whether a panic has taken the terminal away from us.
    pub(super) fn is_given_up(&self) -> bool {
        self.guard.given_up.load(Ordering::Acquire)
    }

    /// Columns and rows, as the next frame will have them.
    pub(super) fn size(&self) -> io::Result<(u16, u16)> {
        self.screen.size().map(|size| (size.width, size.height))
    }

    /// Gives text to the clipboard of whoever sits at the terminal, wherever that is (OSC 52). Whether it takes
    /// it, no terminal says.
    pub(super) fn copy(&mut self, text: &str) -> io::Result<()> {
        let _frame = self.guard.frame.lock();
        if self.is_given_up() {
            return Ok(());
        }
        let mut out = io::stdout();
        write!(out, "\x1b]52;c;{}\x07", STANDARD.encode(text))?;
        out.flush()
    }

    /// Draws one frame.
    pub(super) fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        let _frame = self.guard.frame.lock();
        if self.is_given_up() {
            return Ok(());
        }
        self.screen.draw(render).map(drop)
    }
}

/// The events of at most `patience`: waits for the first, takes what else is there.
pub(super) fn events(patience: Duration) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut patience = patience;
    while events.len() < MAX_EVENTS && event::poll(patience)? {
        events.push(event::read()?);
        patience = Duration::ZERO;
    }
    Ok(events)
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.guard.give_up();
        // The hook cannot be changed by a thread that panics; ours then finds nothing left to do.
        if !std::thread::panicking() {
            let previous = Arc::clone(&self.previous);
            panic::set_hook(Box::new(move |info| previous(info)));
        }
    }
}

impl Guard {
    /// From the panic hook: waits for the end of a frame that another thread is writing.
    fn give_up_between_frames(&self) {
        // The thread that draws would wait for itself.
        let other = std::thread::current().id() != self.owner;
        let _frame = other.then(|| self.frame.try_lock_for(FRAME_PATIENCE));
        self.give_up();
    }

    /// Lets go of the mouse, leaves the alternate screen and raw mode. A terminal that is gone needs neither: errors are moot.
    fn give_up(&self) {
        if !self.given_up.swap(true, Ordering::AcqRel) {
            let mut out = io::stdout();
            let _ = execute!(out, DisableMouseCapture, LeaveAlternateScreen, Show);
            let _ = out.flush();
            let _ = disable_raw_mode();
        }
    }
}
