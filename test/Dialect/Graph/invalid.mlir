// RUN: tenon-opt %s --split-input-file --verify-diagnostics

func.func @matmul_contracted_dims(%a: tensor<4x8xf32>, %b: tensor<9x16xf32>) {
  // expected-error@+1 {{contracts dimension 1 of lhs, of size 8, with dimension 0 of rhs, of size 9}}
  %0 = graph.matmul %a, %b : tensor<4x8xf32>, tensor<9x16xf32> -> tensor<4x16xf32>
  return
}

// -----

func.func @matmul_rank(%a: tensor<8xf32>, %b: tensor<8x16xf32>) {
  // expected-error@+1 {{multiplies tensors of rank 1 and 2, but both must have at least 2}}
  %0 = graph.matmul %a, %b : tensor<8xf32>, tensor<8x16xf32> -> tensor<16xf32>
  return
}

// -----

func.func @matmul_leading_dims(%a: tensor<2x4x8xf32>, %b: tensor<3x8x4xf32>) {
  // expected-error@+1 {{cannot broadcast the leading dimensions of 'tensor<2x4x8xf32>' and 'tensor<3x8x4xf32>'}}
  %0 = graph.matmul %a, %b : tensor<2x4x8xf32>, tensor<3x8x4xf32> -> tensor<2x4x4xf32>
  return
}

// -----

func.func @matmul_result(%a: tensor<?x8xf32>, %b: tensor<8x16xf32>) {
  // expected-error@+1 {{has result type 'tensor<?x8xf32>', but computes 'tensor<?x16xf32>'}}
  %0 = graph.matmul %a, %b : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @attention_heads(%q: tensor<1x9x4x8xf32>, %k: tensor<1x2x4x8xf32>) {
  // expected-error@+1 {{has 9 query heads, which is no multiple of its 2 key heads}}
  %0 = graph.attention %q, %k, %k scale 1.0 : (tensor<1x9x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>) -> tensor<1x9x4x8xf32>
  return
}

// -----

func.func @attention_rank(%q: tensor<1x9x4x8xf32>, %k: tensor<9x4x8xf32>) {
  // expected-error@+1 {{needs tensors of rank 4 (batch, heads, sequence, size), but found 'tensor<9x4x8xf32>'}}
  %0 = graph.attention %q, %k, %k scale 1.0 : (tensor<1x9x4x8xf32>, tensor<9x4x8xf32>, tensor<9x4x8xf32>) -> tensor<1x9x4x8xf32>
  return
}

// -----

func.func @attention_mask(%q: tensor<1x9x4x8xf32>, %m: tensor<1x1x1x4x4xi1>) {
  // expected-error@+1 {{needs a mask of rank at most 4, but found 'tensor<1x1x1x4x4xi1>'}}
  %0 = graph.attention %q, %q, %q mask %m scale 1.0 : (tensor<1x9x4x8xf32>, tensor<1x9x4x8xf32>, tensor<1x9x4x8xf32>, tensor<1x1x1x4x4xi1>) -> tensor<1x9x4x8xf32>
  return
}

// -----

func.func @attention_at_without_length(%q: tensor<?x2x?x8xf32>, %i: tensor<?xi64>) {
  // expected-error@+1 {{reads caches, for which it needs starts and a length, or none, for which it has no starts, slots or length}}
  %0 = graph.attention causal %q, %q, %q at %i scale 1.0 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x?x8xf32>
  return
}

// -----

func.func @attention_relative_not_causal(%q: tensor<?x2x?x8xf32>, %m: tensor<1x2x1x?xf32>, %i: tensor<?xi64>, %n: index) {
  // expected-error@+1 {{has a mask by distance, for which it needs starts, causal and a mask}}
  %0 = graph.attention relative %q, %q, %q mask %m at %i length %n scale 1.0 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<1x2x1x?xf32>, tensor<?xi64>, index) -> tensor<?x2x?x8xf32>
  return
}

// -----

func.func @attention_relative_without_caches(%q: tensor<?x2x?x8xf32>, %m: tensor<1x2x1x?xf32>) {
  // expected-error@+1 {{has a mask by distance, for which it needs starts, causal and a mask}}
  %0 = graph.attention causal relative %q, %q, %q mask %m scale 1.0 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<1x2x1x?xf32>) -> tensor<?x2x?x8xf32>
  return
}

// -----

func.func @attention_at_rank(%q: tensor<?x2x?x8xf32>, %i: tensor<?x1xi64>, %n: index) {
  // expected-error@+1 {{needs one start and one slot for each row of the batch, but found 'tensor<?x1xi64>'}}
  %0 = graph.attention causal %q, %q, %q at %i length %n scale 1.0 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1xi64>, index) -> tensor<?x2x?x8xf32>
  return
}

// -----

func.func @attention_window(%q: tensor<?x2x?x8xf32>) {
  // expected-error@+1 {{has a window of 0, but needs causal and at least 1}}
  %0 = graph.attention causal %q, %q, %q scale 1.0 window 0 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  return
}

// -----

func.func @attention_window_not_causal(%q: tensor<?x2x?x8xf32>) {
  // expected-error@+1 {{has a window of 4 without causal, but needs causal and at least 1}}
  %0 = graph.attention %q, %q, %q scale 1.0 window 4 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  return
}

// -----

func.func @attention_parameters(%q: tensor<?x2x?x8xui8>, %k: tensor<?x2x?x8xi8>, %p: tensor<6xf32>) {
  // expected-error@+1 {{needs 5 or 8 numbers that say how it is quantized, but found 'tensor<6xf32>'}}
  %0 = graph.attention %q, %k, %k quantized %p scale 1.0 : (tensor<?x2x?x8xui8>, tensor<?x2x?x8xi8>, tensor<?x2x?x8xi8>, tensor<6xf32>) -> tensor<?x2x?x8xf32>
  return
}

// -----

func.func @attention_signs(%q: tensor<?x2x?x8xui8>, %p: tensor<5xf32>) {
  // expected-error@+1 {{is quantized, so that it needs queries of ui8, and keys and values of i8 that are no caches, but found 'tensor<?x2x?x8xui8>', 'tensor<?x2x?x8xui8>' and 'tensor<?x2x?x8xui8>'}}
  %0 = graph.attention %q, %q, %q quantized %p scale 1.0 : (tensor<?x2x?x8xui8>, tensor<?x2x?x8xui8>, tensor<?x2x?x8xui8>, tensor<5xf32>) -> tensor<?x2x?x8xf32>
  return
}

// -----

func.func @append_rank(%x: tensor<?x?x8xf32>, %c: tensor<?x2x?x8xf32>, %i: tensor<?xi64>) {
  // expected-error@+1 {{needs tensors of rank 4 (batch, heads, sequence, size and slots, heads, capacity, size), but found 'tensor<?x?x8xf32>' and 'tensor<?x2x?x8xf32>'}}
  %0 = graph.append %x into %c at %i : (tensor<?x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x?x8xf32>
  return
}

// -----

func.func @append_heads(%x: tensor<?x3x?x8xf32>, %c: tensor<?x2x?x8xf32>, %i: tensor<?xi64>) {
  // expected-error@+1 {{appends 'tensor<?x3x?x8xf32>' to 'tensor<?x2x?x8xf32>', which differ in dimension 1}}
  %0 = graph.append %x into %c at %i : (tensor<?x3x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x?x8xf32>
  return
}

// -----

func.func @append_places(%x: tensor<?x2x?x8xf32>, %c: tensor<?x2x?x8xf32>, %i: tensor<?xi64>, %s: tensor<i64>) {
  // expected-error@+1 {{needs one start and one slot for each row of the batch, but found 'tensor<i64>'}}
  %0 = graph.append %x into %c at %i in %s : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>, tensor<i64>) -> tensor<?x2x?x8xf32>
  return
}

// -----

func.func @append_result(%x: tensor<?x2x?x8xf32>, %c: tensor<?x2x?x8xf32>, %i: tensor<?xi64>) {
  // expected-error@+1 {{has result type 'tensor<?x2x4x8xf32>', but its cache has 'tensor<?x2x?x8xf32>'}}
  %0 = graph.append %x into %c at %i : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x4x8xf32>
  return
}

// -----

func.func @gather_axis(%x: tensor<4x8xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{gathers along dimension 2 of a tensor of rank 2}}
  %0 = graph.gather %x, %i axis 2 : tensor<4x8xf32>, tensor<2xi64> -> tensor<4x8xf32>
  return
}

// -----

func.func @gather_result(%x: tensor<4x?xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{has result type 'tensor<4x?xf32>', but gathers 'tensor<2x?xf32>'}}
  %0 = graph.gather %x, %i axis 0 : tensor<4x?xf32>, tensor<2xi64> -> tensor<4x?xf32>
  return
}

// -----

func.func @gather_nd_batch(%x: tensor<4x8xf32>, %i: tensor<4xi64>) {
  // expected-error@+1 {{has 1 batch dimensions, but indices 'tensor<4xi64>' and input 'tensor<4x8xf32>' must have more}}
  %0 = graph.gather_nd %x, %i batch_dims 1 : tensor<4x8xf32>, tensor<4xi64> -> tensor<4xf32>
  return
}

// -----

func.func @gather_nd_tuples(%x: tensor<4x8xf32>, %i: tensor<4x?xi64>) {
  // expected-error@+1 {{needs index tuples of 1 to 2 elements, but has indices 'tensor<4x?xi64>'}}
  %0 = graph.gather_nd %x, %i batch_dims 0 : tensor<4x8xf32>, tensor<4x?xi64> -> tensor<4xf32>
  return
}

// -----

func.func @gather_nd_result(%x: tensor<4x8xf32>, %i: tensor<4x1xi64>) {
  // expected-error@+1 {{has a result of rank 1, but gathers rank 2}}
  %0 = graph.gather_nd %x, %i batch_dims 0 : tensor<4x8xf32>, tensor<4x1xi64> -> tensor<4xf32>
  return
}

// -----

func.func @add_broadcast(%a: tensor<4xf32>, %b: tensor<5xf32>) {
  // expected-error@+1 {{cannot broadcast operand of type 'tensor<5xf32>' with the operands before it}}
  %0 = graph.add %a, %b : tensor<4xf32>, tensor<5xf32> -> tensor<4xf32>
  return
}

// -----

func.func @add_result(%a: tensor<?x4xf32>, %b: tensor<4xf32>) {
  // expected-error@+1 {{has result type 'tensor<4xf32>', but its operands broadcast to 'tensor<?x4xf32>'}}
  %0 = graph.add %a, %b : tensor<?x4xf32>, tensor<4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @add_element_types(%a: tensor<4xf32>, %b: tensor<4xi64>) {
  // expected-error@+1 {{rhs has element type 'i64', but must have 'f32'}}
  %0 = graph.add %a, %b : tensor<4xf32>, tensor<4xi64> -> tensor<4xf32>
  return
}

// -----

func.func @less_result(%a: tensor<4xf32>) {
  // expected-error@+1 {{result has element type 'f32', but must have 'i1'}}
  %0 = graph.less %a, %a : tensor<4xf32>, tensor<4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @where_condition(%c: tensor<4xf32>) {
  // expected-error@+1 {{condition has element type 'f32', but must have 'i1'}}
  %0 = graph.where %c, %c, %c : tensor<4xf32>, tensor<4xf32>, tensor<4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @where_element_types(%c: tensor<4xi1>, %a: tensor<4xf32>) {
  // expected-error@+1 {{on_false has element type 'i1', but must have 'f32'}}
  %0 = graph.where %c, %a, %c : tensor<4xi1>, tensor<4xf32>, tensor<4xi1> -> tensor<4xf32>
  return
}

// -----

func.func @reduce_axis(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{has axis 2 for a tensor of rank 2}}
  %0 = graph.reduce sum %x axes [2] : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @reduce_result(%x: tensor<?x8xf32>) {
  // expected-error@+1 {{has result type 'tensor<?xf32>', but reduces to 'tensor<?x1xf32>'}}
  %0 = graph.reduce sum %x axes [1] : tensor<?x8xf32> -> tensor<?xf32>
  return
}

// -----

func.func @norm_shape(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{has input 'tensor<4x8xf32>' and result 'tensor<4x9xf32>', whose sizes must agree}}
  %0 = graph.norm %x axis 1 epsilon 1.0E-6 : (tensor<4x8xf32>) -> tensor<4x9xf32>
  return
}

// -----

func.func @rotary_rank(%x: tensor<4x8xf32>, %c: tensor<4x4xf32>) {
  // expected-error@+1 {{needs an input of rank 4, but found 'tensor<4x8xf32>'}}
  %0 = graph.rotary %x, %c, %c : tensor<4x8xf32>, tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @symbol_range() {
  // expected-error@+1 {{has an empty range 4 to 3}}
  %0 = graph.symbol "n" range 4 to 3
  return
}

// -----

func.func @dim_out_of_range(%x: tensor<4xf32>) {
  // expected-error@+1 {{reads dimension 1 of a tensor of rank 1}}
  %0 = graph.dim %x, 1 : tensor<4xf32>
  return
}

// -----

func.func @from_indices_count(%n: index) {
  // expected-error@+1 {{has 1 values for the 2 elements of 'tensor<2xi64>'}}
  %0 = graph.from_indices %n : tensor<2xi64>
  return
}

// -----

func.func @reshape_rank(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{asks for 1 sizes, but its result has rank 2}}
  %0 = graph.reshape %x to [32] : tensor<4x8xf32> -> tensor<32x1xf32>
  return
}

// -----

func.func @broadcast_rank(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{has a result of rank 2, but its input and sizes give rank 3}}
  %0 = graph.broadcast %x to [2, 4, 8] : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @transpose_twice_the_same(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{has permutation [0, 0], which is none of 2 dimensions}}
  %0 = graph.transpose %x [0, 0] : tensor<4x8xf32> -> tensor<4x4xf32>
  return
}

// -----

func.func @transpose_rank(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{permutes 1 dimensions, but has input 'tensor<4x8xf32>' and result 'tensor<8xf32>'}}
  %0 = graph.transpose %x [1] : tensor<4x8xf32> -> tensor<8xf32>
  return
}

// -----

func.func @transpose_size(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{has size 4 in result dimension 0, but takes it from input dimension 1 of size 8}}
  %0 = graph.transpose %x [1, 0] : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @concat_of_nothing() {
  // expected-error@+1 {{needs one input or more, but has none}}
  %0 = graph.concat axis 0 : () -> tensor<4xf32>
  return
}

// -----

func.func @concat_axis(%x: tensor<4xf32>) {
  // expected-error@+1 {{joins along dimension 1 of a result of rank 1}}
  %0 = graph.concat %x axis 1 : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @concat_element_types(%x: tensor<4xf32>, %y: tensor<4xi64>) {
  // expected-error@+1 {{joins 'tensor<4xi64>' into 'tensor<8xf32>', which differ in rank or element type}}
  %0 = graph.concat %x, %y axis 0 : (tensor<4xf32>, tensor<4xi64>) -> tensor<8xf32>
  return
}

// -----

func.func @concat_sizes(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{joins 'tensor<4x8xf32>' into 'tensor<4x9xf32>', which differ in dimension 1}}
  %0 = graph.concat %x axis 0 : (tensor<4x8xf32>) -> tensor<4x9xf32>
  return
}

// -----

func.func @slice_counts(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{needs 2 starts, ends, steps and result dimensions, but has 1, 2, 2 and 2}}
  %0 = graph.slice %x from [0] to [4, 8] step [1, 1] : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @slice_step(%x: tensor<4xf32>) {
  // expected-error@+1 {{has a step of 0}}
  %0 = graph.slice %x from [0] to [4] step [0] : tensor<4xf32> -> tensor<?xf32>
  return
}

// -----

func.func @reduce_along_nothing(%x: tensor<4xf32>) {
  // expected-error @+1 {{needs at least one axis}}
  %0 = graph.reduce sum %x axes [] : tensor<4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @bits_of_floats(%x: tensor<4xf32>) {
  // expected-error @+1 {{needs integers, but has 'f32'}}
  %0 = graph.xor %x, %x : tensor<4xf32>, tensor<4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @negated_bits_of_floats(%x: tensor<4xf32>) {
  // expected-error @+1 {{needs integers, but has 'f32'}}
  %0 = graph.not %x : tensor<4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @mod_of_two_types(%x: tensor<4xi64>, %y: tensor<4xi32>) {
  // expected-error @+1 {{rhs has element type 'i32', but must have 'i64'}}
  %0 = graph.mod %x, %y : tensor<4xi64>, tensor<4xi32> -> tensor<4xi64>
  return
}

// -----

func.func @read_type(%x: tensor<i64>) {
  // expected-error@+1 {{reads one 'i1', but its input is 'tensor<i64>'}}
  %0 = graph.read %x : tensor<i64> -> i1
  return
}

// -----

func.func @gather_elements_rank(%x: tensor<4x8xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{has indices of rank 1 for an input of rank 2}}
  %0 = graph.gather_elements %x, %i axis 1 : tensor<4x8xf32>, tensor<2xi64> -> tensor<2xf32>
  return
}

// -----

func.func @gather_elements_beyond(%x: tensor<4x8xf32>, %i: tensor<5x2xi64>) {
  // expected-error@+1 {{has indices of size 5 in dimension 0, where the input has 4}}
  %0 = graph.gather_elements %x, %i axis 1 : tensor<4x8xf32>, tensor<5x2xi64> -> tensor<5x2xf32>
  return
}

// -----

func.func @scatter_elements_updates(%x: tensor<4x8xf32>, %i: tensor<4x2xi64>, %u: tensor<4x3xf32>) {
  // expected-error@+1 {{has updates 'tensor<4x3xf32>', but needs 'tensor<4x2xf32>'}}
  %0 = graph.scatter_elements add %x, %i, %u axis 1 : tensor<4x8xf32>, tensor<4x2xi64>, tensor<4x3xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @scatter_nd_tuples(%x: tensor<4x8xf32>, %i: tensor<5x3xi64>, %u: tensor<5xf32>) {
  // expected-error@+1 {{has index tuples of 3 for an input of rank 2}}
  %0 = graph.scatter_nd add %x, %i, %u : tensor<4x8xf32>, tensor<5x3xi64>, tensor<5xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @scatter_nd_result(%x: tensor<4x8xf32>, %i: tensor<5x1xi64>, %u: tensor<5x8xf32>) {
  // expected-error@+1 {{has result type 'tensor<5x8xf32>', but its input is 'tensor<4x8xf32>'}}
  %0 = graph.scatter_nd add %x, %i, %u : tensor<4x8xf32>, tensor<5x1xi64>, tensor<5x8xf32> -> tensor<5x8xf32>
  return
}

// -----

func.func @cumulative_product_axis(%x: tensor<4xf32>) {
  // expected-error@+1 {{has axis -1 for a tensor of rank 1}}
  %0 = graph.cumulative_product %x axis -1 : tensor<4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @bits_of_another_width(%x: tensor<4xf32>) {
  // expected-error@+1 {{takes the bits of 'f32' as 'i64', which has another width}}
  %0 = graph.bitcast %x : tensor<4xf32> -> tensor<4xi64>
  return
}

// -----

func.func @cumulative_sum_axis(%x: tensor<4xf32>) {
  // expected-error@+1 {{has axis 1 for a tensor of rank 1}}
  %0 = graph.cumulative_sum %x axis 1 : tensor<4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @top_of_too_few(%x: tensor<4xf32>) {
  %k = arith.constant 5 : index
  // expected-error@+1 {{asks for 5 elements of dimension 0 of 'tensor<4xf32>'}}
  %0 = graph.top_k %x k %k axis 0 : tensor<4xf32> -> tensor<5xi64>
  return
}

// -----

func.func @top_k_type(%x: tensor<4xf32>) {
  %k = arith.constant 2 : index
  // expected-error@+1 {{has result type 'tensor<2xf32>', but finds 'tensor<2xi64>'}}
  %0 = graph.top_k %x k %k axis 0 : tensor<4xf32> -> tensor<2xf32>
  return
}

// -----

func.func @pad_dimensions(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{needs a low and a high for each of 2 dimensions}}
  %0 = graph.pad edge %x low [1] high [1] : (tensor<4x8xf32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @pad_without_value(%x: tensor<4xf32>) {
  // expected-error@+1 {{needs a value exactly when its kind is constant}}
  %0 = graph.pad constant %x low [1] high [1] : (tensor<4xf32>) -> tensor<6xf32>
  return
}

// -----

func.func @pad_value(%x: tensor<4xf32>, %v: tensor<i64>) {
  // expected-error@+1 {{has value of type 'tensor<i64>' for an input of type 'tensor<4xf32>'}}
  %0 = graph.pad constant %x value %v low [1] high [1] : (tensor<4xf32>, tensor<i64>) -> tensor<6xf32>
  return
}

// -----

func.func @window_lists(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{needs a kernel, strides and dilations for one or more dimensions of 'tensor<4x8xf32>', but has 2, 1 and 2}}
  %0 = graph.window %x kernel [2, 2] strides [1] dilations [1, 1] : tensor<4x8xf32> -> tensor<3x7x2x2xf32>
  return
}

// -----

func.func @window_stride(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{needs a kernel, strides and dilations that are positive and known}}
  %0 = graph.window %x kernel [2] strides [0] dilations [1] : tensor<4x8xf32> -> tensor<4x7x2xf32>
  return
}

// -----

func.func @window_result(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{has windows of type 'tensor<4x4x3xf32>', but those of 'tensor<4x8xf32>' are 'tensor<4x3x3xf32>'}}
  %0 = graph.window %x kernel [3] strides [2] dilations [1] : tensor<4x8xf32> -> tensor<4x4x3xf32>
  return
}

// -----

func.func @overlap_add_lists(%x: tensor<4x3x3xf32>) {
  // expected-error@+1 {{needs sizes, strides and dilations for each spatial dimension of its windows 'tensor<4x3x3xf32>', but has 2, 1 and 1 and result 'tensor<4x8xf32>'}}
  %0 = graph.overlap_add %x to [8, 8] strides [2] dilations [1] : tensor<4x3x3xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @overlap_add_sizes(%x: tensor<4x3x3xf32>) {
  // expected-error@+1 {{has result 'tensor<4x7xf32>', which has other sizes than it asks for}}
  %0 = graph.overlap_add %x to [8] strides [2] dilations [1] : tensor<4x3x3xf32> -> tensor<4x7xf32>
  return
}

// -----

func.func @overlap_add_windows(%x: tensor<4x4x3xf32>) {
  // expected-error@+1 {{has windows of type 'tensor<4x4x3xf32>', but those of 'tensor<4x8xf32>' are 'tensor<4x3x3xf32>'}}
  %0 = graph.overlap_add %x to [8] strides [2] dilations [1] : tensor<4x4x3xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @count_of_several(%x: tensor<2xi64>, %n: index) {
  // expected-error@+1 {{needs one element, but its input is 'tensor<2xi64>'}}
  %0 = graph.count "c" %x at_most %n : tensor<2xi64>
  return
}

// -----

func.func @matmul_of_signed_bytes(%a: tensor<4x8xi8>, %b: tensor<8x16xi8>) {
  // expected-error@+1 {{multiplies 'i8' by 'i8' into i32, which only ui8 by i8 become}}
  %0 = graph.matmul %a, %b : tensor<4x8xi8>, tensor<8x16xi8> -> tensor<4x16xi32>
  return
}

// -----

func.func @quantize_to_words(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{cannot quantize to integers of type 'i32'}}
  %0 = graph.quantize %x scale %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xi32>
  return
}

// -----

func.func @quantize_half(%x: tensor<4xf16>, %s: tensor<f32>) {
  // expected-error@+1 {{input has element type 'f16', but must have 'f32'}}
  %0 = graph.quantize %x scale %s : (tensor<4xf16>, tensor<f32>) -> tensor<4xi8>
  return
}

// -----

func.func @dequantize_with_other_zero_point(%x: tensor<4xi8>, %s: tensor<f32>, %z: tensor<ui8>) {
  // expected-error@+1 {{zero point has element type 'ui8', but must have 'i8'}}
  %0 = graph.dequantize %x scale %s zero_point %z : (tensor<4xi8>, tensor<f32>, tensor<ui8>) -> tensor<4xf32>
  return
}

// -----

func.func @cache_without_length(%q: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1xi64>) {
  // expected-error@+1 {{reads caches, for which it needs starts and a length, or none, for which it has no starts, slots or length}}
  %0 = graph.attention causal %q, %c, %c at %at scale 1.0 : (tensor<1x2x4x8xf32>, tensor<3x2x9x8xf32>, tensor<3x2x9x8xf32>, tensor<1xi64>) -> tensor<1x2x4x8xf32>
  return
}

// -----

func.func @attention_relative_without_mask(%q: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1xi64>, %n: index) {
  // expected-error@+1 {{has a mask by distance, for which it needs starts, causal and a mask}}
  %0 = graph.attention causal relative %q, %c, %c at %at length %n scale 1.0 : (tensor<1x2x4x8xf32>, tensor<3x2x9x8xf32>, tensor<3x2x9x8xf32>, tensor<1xi64>, index) -> tensor<1x2x4x8xf32>
  return
}

// -----

func.func @cache_starts(%q: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1x1xi64>, %n: index) {
  // expected-error@+1 {{'graph.attention' op needs one start and one slot for each row of the batch, but found 'tensor<1x1xi64>'}}
  %0 = graph.attention causal %q, %c, %c at %at length %n scale 1.0 : (tensor<1x2x4x8xf32>, tensor<3x2x9x8xf32>, tensor<3x2x9x8xf32>, tensor<1x1xi64>, index) -> tensor<1x2x4x8xf32>
  return
}

// -----

func.func @window(%q: tensor<1x2x4x8xf32>) {
  // expected-error@+1 {{has a window of 3 without causal, but needs causal and at least 1}}
  %0 = graph.attention %q, %q, %q scale 1.0 window 3 : (tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x4x8xf32>
  return
}

// -----

func.func @append_rank(%x: tensor<2x4x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1xi64>) {
  // expected-error@+1 {{needs tensors of rank 4 (batch, heads, sequence, size and slots, heads, capacity, size), but found 'tensor<2x4x8xf32>' and 'tensor<3x2x9x8xf32>'}}
  %0 = graph.append %x into %c at %at : (tensor<2x4x8xf32>, tensor<3x2x9x8xf32>, tensor<1xi64>) -> tensor<3x2x9x8xf32>
  return
}

// -----

func.func @append_sizes(%x: tensor<1x2x4x6xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1xi64>) {
  // expected-error@+1 {{appends 'tensor<1x2x4x6xf32>' to 'tensor<3x2x9x8xf32>', which differ in dimension 3}}
  %0 = graph.append %x into %c at %at : (tensor<1x2x4x6xf32>, tensor<3x2x9x8xf32>, tensor<1xi64>) -> tensor<3x2x9x8xf32>
  return
}

// -----

func.func @append_starts(%x: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<i64>) {
  // expected-error@+1 {{'graph.append' op needs one start and one slot for each row of the batch, but found 'tensor<i64>'}}
  %0 = graph.append %x into %c at %at : (tensor<1x2x4x8xf32>, tensor<3x2x9x8xf32>, tensor<i64>) -> tensor<3x2x9x8xf32>
  return
}

// -----

func.func @append_result(%x: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1xi64>) {
  // expected-error@+1 {{has result type 'tensor<3x2x9x8xf16>', but its cache has 'tensor<3x2x9x8xf32>'}}
  %0 = graph.append %x into %c at %at : (tensor<1x2x4x8xf32>, tensor<3x2x9x8xf32>, tensor<1xi64>) -> tensor<3x2x9x8xf16>
  return
}


// -----

func.func @blocks_of_odd_length(%q: tensor<4x48xui8>, %s: tensor<4x1xf32>) {
  // expected-error@+1 {{has blocks of 48, but needs a power of two of at least 16}}
  %0 = graph.dequantize_blocks %q block 48 scale %s : (tensor<4x48xui8>, tensor<4x1xf32>) -> tensor<4x48xf32>
  return
}

// -----

func.func @blocks_of_two_bits(%q: tensor<4x32xui8>, %s: tensor<4x1xf32>) {
  // expected-error@+1 {{has elements of 2 bits, but needs 4 or 8}}
  %0 = graph.dequantize_blocks %q bits 2 block 32 scale %s : (tensor<4x32xui8>, tensor<4x1xf32>) -> tensor<4x32xf32>
  return
}

// -----

func.func @blocks_of_signed_halves(%q: tensor<4x16xi8>, %s: tensor<4x1xf32>) {
  // expected-error@+1 {{has an input of 'i8', but needs ui8}}
  %0 = graph.dequantize_blocks %q bits 4 block 32 scale %s : (tensor<4x16xi8>, tensor<4x1xf32>) -> tensor<4x32xf32>
  return
}

// -----

func.func @blocks_of_unknown_size(%q: tensor<?x16xui8>, %s: tensor<4x1xf32>) {
  // expected-error@+1 {{needs a matrix of known sizes, but has 'tensor<?x16xui8>'}}
  %0 = graph.dequantize_blocks %q block 16 scale %s : (tensor<?x16xui8>, tensor<4x1xf32>) -> tensor<4x16xf32>
  return
}

// -----

func.func @blocks_beyond_rows(%q: tensor<4x16xui8>, %s: tensor<4x2xf32>) {
  // expected-error@+1 {{has result type 'tensor<4x33xf32>', but needs f32, 4 rows and 1 to 32 columns}}
  %0 = graph.dequantize_blocks %q bits 4 block 32 scale %s : (tensor<4x16xui8>, tensor<4x2xf32>) -> tensor<4x33xf32>
  return
}

// -----

func.func @blocks_of_few_scales(%q: tensor<4x32xui8>, %s: tensor<4x1xf32>) {
  // expected-error@+1 {{has scales of type 'tensor<4x1xf32>', but needs f32, f16 or bf16 and sizes 4 and 2}}
  %0 = graph.dequantize_blocks %q block 16 scale %s : (tensor<4x32xui8>, tensor<4x1xf32>) -> tensor<4x32xf32>
  return
}

// -----

func.func @blocks_of_other_zero_points(%q: tensor<4x32xui8>, %s: tensor<4x2xf32>, %z: tensor<4x2xi8>) {
  // expected-error@+1 {{has zero points of type 'tensor<4x2xi8>', but needs elements of 'ui8', f32, f16 or bf16 and no sizes or 4 and 2}}
  %0 = graph.dequantize_blocks %q block 16 scale %s zero_point %z : (tensor<4x32xui8>, tensor<4x2xf32>, tensor<4x2xi8>) -> tensor<4x32xf32>
  return
}

// -----

func.func @append_without_scale(%x: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x8xi8>, %at: tensor<1xi64>) {
  // expected-error@+1 {{appends 'tensor<1x2x4x8xf32>' to 'tensor<3x2x9x8xi8>', which differ in dimension 3 beside the bytes of a scale}}
  %0 = graph.append %x into %c at %at : (tensor<1x2x4x8xf32>, tensor<3x2x9x8xi8>, tensor<1xi64>) -> tensor<3x2x9x8xi8>
  return
}
