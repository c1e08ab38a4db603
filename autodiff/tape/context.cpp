#include "wengert/autodiff/tape/context.h"

namespace wengert {

using detail::thread_state;

detail::ThreadState& detail::thread_state() {
  [[gnu::tls_model("initial-exec")]] static constinit thread_local ThreadState state;
  return state;
}

bool recording() { return thread_state().context.recording; }

no_grad::no_grad() { thread_state().context.recording = false; }

At::At(Where where) {
  detail::Context& context = thread_state().context;
  if (!context.place.line()) context.place = where;
}

}  // namespace wengert
