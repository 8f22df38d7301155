//! A Click router as an ordinary process, as the userlevel driver of Click runs it.
