#pragma once

/// Marks what the shared library exports; whatever is not marked stays hidden inside it.
/// Exceptions need it too: an unmarked one cannot be caught by its type outside the library.
#define WENGERT_API [[gnu::visibility("default")]]
