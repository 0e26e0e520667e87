// What a completion queue hands back: whose operation has ended, and what comes then.
//
// Ownership: a tag is a member of the object that it names, and outlives the operation.
#pragma once

namespace sluice::bench {

template <typename Owner>
struct Tag {
  Owner* owner;
  void (Owner::*then)(bool ok);
};

// TAG as a queue has handed it back, all of whose tags are of OWNER.
template <typename Owner>
void resume(void* tag, bool ok) {
  const auto* ended = static_cast<const Tag<Owner>*>(tag);
  (ended->owner->*ended->then)(ok);
}

}  // namespace sluice::bench
