package import Compute

/// How passes over many images are computed, to measure something of them.
package struct PassSettings: Sendable, Equatable {
    /// How many images are computed at the same time.
    package var threads: Int
    /// The type of the operands of the blocks' products.
    package var precision: OperandType

    /// Passes in f32 unless specified.
    package init(threads: Int, precision: OperandType = .f32) { (self.threads, self.precision) = (threads, precision) }
}
