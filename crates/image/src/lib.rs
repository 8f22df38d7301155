//! Building images: the manifest, what goes into an image and how large it is.
