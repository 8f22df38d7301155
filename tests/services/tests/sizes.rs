//! How large the images of services are: what is loaded, without symbols and line tables.
#![allow(missing_docs)]

use services::built_with;

#[test]
fn images_are_no_larger_than_was_promised() {
    // Thousands of bytes. SPECIFICATION.md says which promises are not kept yet; of those images
    // the size is only shown.
    for (package, features, promised) in [
        ("hello", &[][..], Some(32)),
        ("web", &[], Some(200)),
        ("web", &["tls"], Some(1000)),
        ("echo", &[], None),
        ("dns", &[], Some(158)),
        ("kv", &[], Some(300)),
    ] {
        let bytes = built_with(package, features).image.len();
        println!("{package} {features:?}: {bytes} bytes");
        if let Some(promised) = promised {
            assert!(bytes <= promised * 1000, "{package}: {bytes} bytes");
        }
    }
}
