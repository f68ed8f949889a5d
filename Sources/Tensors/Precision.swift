/// How the numbers that kernels multiply are stored. Sums of products are 32-bit floats either way.
package enum Precision: String, Sendable, CaseIterable {
    /// 32-bit floats.
    case f32
    /// bfloat16: a 32-bit float's sign and exponent with 7 bits of its fraction. Half the memory, twice the products a second
    /// on processors that have instructions for them.
    case bf16
}
