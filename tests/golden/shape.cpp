#include "golden.h"
#include "wengert/autodiff/ops/adjoints.h"

namespace golden {

#define ROW(name, call) t[#name] = [](const Args& a) -> Results { return call; }

namespace {

// -1 keeps the size of an axis.
Tensor expand_to(const Tensor& x, Shape shape) {
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] == -1) shape[i] = x.size(i - shape.rank());
  return expand(x, shape);
}

Tensor squeeze_all(Tensor x) {
  for (int i = x.rank() - 1; i >= 0; --i)
    if (x.size(i) == 1) x = squeeze(x, i);
  return x;
}

Results both(const Indexed& y, const Tensor& x) { return {lowered(y.values, x), lowered(y.indices, x)}; }

// One entry for each leading axis: null, an integer, or [start, stop, step] with nulls.
Tensor sliced(Tensor x, const Json& slices) {
  int axis = 0;
  for (const Json& s : slices) {
    if (s.is_number()) {
      x = select(x, axis, s.get<std::int64_t>());
    } else {
      auto part = [&](std::size_t i, std::int64_t otherwise) {
        return s[i].is_null() ? otherwise : s[i].get<std::int64_t>();
      };
      if (!s.is_null()) x = slice(x, axis, part(0, 0), part(1, x.size(axis)), part(2, 1));
      ++axis;
    }
  }
  return x;
}

Tensor rolled(Tensor x, const Args& a) {
  const auto shifts = a.integers("shifts");
  if (!a.given("dims")) return reshape(roll(reshape(x, {-1}), 0, shifts.at(0)), x.shape());
  const auto dims = a.integers("dims");
  for (std::size_t i = 0; i < dims.size(); ++i) x = roll(x, int(dims[i]), shifts.at(i));
  return x;
}

// PyTorch lists the last axis first.
Tensor padded(const Args& a) {
  const auto flat = a.integers("pad");
  std::vector<Padding> widths;
  for (std::size_t i = flat.size(); i >= 2; i -= 2) widths.push_back({flat[i - 2], flat[i - 1]});
  const std::string mode = a.text("mode");
  return pad(a.input(), widths,
             mode == "reflect"     ? PadMode::reflect
             : mode == "replicate" ? PadMode::replicate
             : mode == "circular"  ? PadMode::circular
                                   : PadMode::constant,
             a.given("value") ? a.number("value") : 0);
}

Tensor repeated(const Args& a) {
  if (a.given("dim")) return repeat_interleave(a.input(), a.integer("dim"), a.integer("repeats"));
  return repeat_interleave(reshape(a.input(), {-1}), 0, a.integer("repeats"));
}

// A negative start counts from the end.
std::int64_t from_front(const Args& a) {
  const std::int64_t start = a.integer("start");
  return start < 0 ? start + a.input().size(a.integer("dim")) : start;
}

}  // namespace

void add_shape(Table& t) {
  ROW(reshape, reshape(a.input(), a.shape("shape")));
  ROW(permute, permute(a.input(), a.shape("dims")));
  ROW(transpose, a.input().rank() < 2 ? a.input() : transpose(a.input(), a.integer("dim0"), a.integer("dim1")));
  ROW(squeeze, !a.given("dim")                                                  ? squeeze_all(a.input())
               : a.input().rank() == 0 || a.input().size(a.integer("dim")) != 1 ? a.input()
                                                                                : squeeze(a.input(), a.integer("dim")));
  ROW(unsqueeze, unsqueeze(a.input(), a.integer("dim")));
  ROW(expand, expand_to(a.input(), a.shape("shape")));
  ROW(flatten, flatten(a.input(), a.integer("start_dim"), a.integer("end_dim")));
  ROW(cat, cat(a.list("tensors"), a.integer("dim")));
  ROW(stack, stack(a.list("tensors"), a.integer("dim")));
  ROW(movedim, movedim(a.input(), a.shape("source"), a.shape("destination")));
  ROW(split, split(a.input(), a.integer("dim"), a.integer("split_size")));
  ROW(split_sizes, split(a.input(), a.integer("dim"), a.integers("sizes")));
  ROW(chunk, chunk(a.input(), a.integer("dim"), a.integer("chunks")));
  ROW(unbind, unbind(a.input(), a.integer("dim")));
  ROW(slice, sliced(a.input(), a.at("slices")));
  ROW(index_select, lowered(index_select(lifted(a.input()), a.integer("dim"), lifted(a["index"])), a.input()));
  ROW(index, take(a.input(), 0, a["index"]));
  ROW(gather, lowered(gather(lifted(a.input()), a.integer("dim"), lifted(a["index"])), a["index"]));
  ROW(take_along_dim, a.given("dim") ? take_along(a.input(), a.integer("dim"), a["index"])
                                     : take_along(reshape(a.input(), {-1}), 0, reshape(a["index"], {-1})));
  ROW(scatter_add,
      lowered(scatter_add(lifted(a.input()), a.integer("dim"), lifted(a["index"]), lifted(a["src"])), a.input()));
  ROW(scatter, lowered(scatter(lifted(a.input()), a.integer("dim"), lifted(a["index"]), lifted(a["src"])), a.input()));
  ROW(index_add,
      a.input() + a.number("alpha") * lowered(detail::unselect(lifted(a["source"]), lifted(a.input()).shape(),
                                                               a.integer("dim"), lifted(a["index"])),
                                              a.input()));
  ROW(flip, a.shape("dims").empty() ? a.input() : flip(a.input(), a.shape("dims")));
  ROW(roll, rolled(a.input(), a));
  ROW(pad, padded(a));
  ROW(repeat, repeat(a.input(), a.shape("repeats")));
  ROW(tile, tile(a.input(), a.shape("reps")));
  ROW(repeat_interleave, repeated(a));
  ROW(masked_fill, masked_fill(a.input(), a["mask"], a.number("value")));
  ROW(masked_select, masked_select(a.input(), a["mask"]));
  ROW(sort, both(sort(lifted(a.input()), {.axis = a.integer("dim"), .descending = a.flag("descending")}), a.input()));
  ROW(topk, both(topk(lifted(a.input()), a.integer("k"), {.axis = a.integer("dim"), .largest = a.flag("largest")}),
                 a.input()));
  ROW(one_hot, one_hot(a.input(), a.integer("num_classes"), int64));
  ROW(diag, diag(a.input(), a.integer("diagonal")));
  ROW(diagonal, diagonal(a.input(), a.integer("offset"), a.integer("dim1"), a.integer("dim2")));
  ROW(diag_embed, diag_embed(a.input(), a.integer("offset"), a.integer("dim1"), a.integer("dim2")));
  ROW(tril, tril(a.input(), a.integer("diagonal")));
  ROW(triu, triu(a.input(), a.integer("diagonal")));
  ROW(unfold_dim, sliding_windows(a.input(), a.integer("dim"), a.integer("size"), a.integer("step")));
  ROW(select, select(a.input(), a.integer("dim"), a.integer("index")));
  ROW(narrow, narrow(a.input(), a.integer("dim"), from_front(a), a.integer("length")));
}

}  // namespace golden
