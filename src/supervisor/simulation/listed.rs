//! Kinds that are counted: an enum and the list of what there is, from one source.

/// Declares an enum, with its variants in their order as `ALL`: how many there are, and which number
/// each has, follows from that.
macro_rules! listed {
    ($(#[$about:meta])* $vis:vis enum $name:ident {
        $($(#[$each:meta])* $variant:ident,)*
    }) => {
        $(#[$about])*
        $vis enum $name {
            $($(#[$each])* $variant,)*
        }

        impl $name {
            $vis const ALL: &[Self] = &[$(Self::$variant,)*];
        }
    };
}
