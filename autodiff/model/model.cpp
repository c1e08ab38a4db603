#include "wengert/autodiff/model/model.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/tape/tape.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace wengert::detail {

std::size_t Path::enter(std::string_view name) {
  const std::size_t back = size_;
  const std::size_t dot = size_ ? 1 : 0, longer = size_ + dot + name.size();
  if (long_.empty() && longer > sizeof short_) long_.assign(short_, size_);
  char* to = short_;
  if (!long_.empty()) {
    if (long_.size() < longer) long_.resize(longer);
    to = long_.data();
  }
  if (dot) to[size_] = '.';
  std::memcpy(to + size_ + dot, name.data(), name.size());
  size_ = longer;
  return back;
}

std::size_t Path::enter(std::size_t index) {
  char digits[24];
  return enter(std::string_view(digits, std::to_chars(digits, digits + sizeof digits, index).ptr));
}

void models_differ(std::string_view path, Where where) {
  fail<ValueError>(where,
                   "two models that are walked in step differ at '{}': in the length of a vector, or in what an "
                   "optional or variant holds; "
                   "was the model changed after its optimizer was made?",
                   path);
}

void Table::add(std::string_view name, const Tensor& t, bool trained) {
  rows_.push_back({std::string(name), fmt::format("{} {}", t.dtype(), t.shape()),
                   fmt::format("{}{}", t.numel(), trained ? "" : " (not trained)")});
  if (trained) total_ += t.numel();
}

std::string Table::text() const {
  std::size_t name = 5, shape = 5;
  for (auto& r : rows_) name = std::max(name, r.name.size()), shape = std::max(shape, r.shape.size());
  std::string text = fmt::format("{:{}}  {:{}}  numbers\n", "name", name, "shape", shape);
  for (auto& r : rows_) text += fmt::format("{:{}}  {:{}}  {}\n", r.name, name, r.shape, shape, r.count);
  return text + fmt::format("{:{}}  {:{}}  {}\n", "total", name, "", shape, total_);
}

void forget_gradient(const Tensor& t) {
  if (Node* n = Access::node(t); n && n->kind == Kind::leaf) clear_leaf(*n);
}

Tensor zeros_in_shape_of(const Tensor& t) { return zeros(t.shape(), t.dtype()); }

}  // namespace wengert::detail
