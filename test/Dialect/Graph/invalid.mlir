// RUN: tenon-opt %s --split-input-file --verify-diagnostics

func.func @matmul_contracted_dims(%a: tensor<4x8xf32>, %b: tensor<9x16xf32>) {
  // expected-error@+1 {{contracts dimension 1 of lhs, of size 8, with dimension 0 of rhs, of size 9}}
  %0 = graph.matmul %a, %b : tensor<4x8xf32>, tensor<9x16xf32> -> tensor<4x16xf32>
  return
}

// -----

func.func @attention_heads(%q: tensor<1x9x4x8xf32>, %k: tensor<1x2x4x8xf32>) {
  // expected-error@+1 {{has 9 query heads, which is no multiple of its 2 key heads}}
  %0 = graph.attention %q, %k, %k scale 1.0 : (tensor<1x9x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>) -> tensor<1x9x4x8xf32>
  return
}

// -----

func.func @gather_axis(%x: tensor<4x8xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{gathers along dimension 2 of a tensor of rank 2}}
  %0 = graph.gather %x, %i axis 2 : tensor<4x8xf32>, tensor<2xi64> -> tensor<4x8xf32>
  return
}

// -----

func.func @add_broadcast(%a: tensor<4xf32>, %b: tensor<5xf32>) {
  // expected-error@+1 {{cannot broadcast operand of type 'tensor<5xf32>'}}
  %0 = graph.add %a, %b : tensor<4xf32>, tensor<5xf32> -> tensor<4xf32>
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

func.func @reduce_axis(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{has axis 2 for a tensor of rank 2}}
  %0 = graph.reduce sum %x axes [2] : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @norm_shape(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{whose sizes must agree}}
  %0 = graph.norm %x axis 1 epsilon 1.0E-6 : (tensor<4x8xf32>) -> tensor<4x9xf32>
  return
}

// -----

func.func @symbol_range() {
  // expected-error@+1 {{has an empty or negative range 4 to 3}}
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

func.func @transpose_twice_the_same(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{has permutation [0, 0], which is none of 2 dimensions}}
  %0 = graph.transpose %x [0, 0] : tensor<4x8xf32> -> tensor<4x4xf32>
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
