#pragma once

namespace wengert::detail {

/// Owns what a class keeps in its source file. A std::unique_ptr does the same, but every one of them is a dozen of
/// templates to be compiled wherever the header is included.
template <class T>
class Hidden {
 public:
  Hidden() = default;
  explicit Hidden(T* owned) : it_(owned) {}
  Hidden(Hidden&& o) noexcept : it_(o.it_) { o.it_ = nullptr; }
  Hidden& operator=(Hidden&& o) noexcept {
    T* const mine = it_;
    it_ = o.it_, o.it_ = mine;  // who is moved from ends what was here
    return *this;
  }
  ~Hidden() {
    static_assert(sizeof(T) > 0, "the class that has it needs a destructor in its source file");
    delete it_;
  }

  T* operator->() const { return it_; }
  T& operator*() const { return *it_; }
  explicit operator bool() const { return it_; }

 private:
  T* it_ = nullptr;
};

}  // namespace wengert::detail
