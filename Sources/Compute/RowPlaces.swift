import Tensors

extension Kernel {
    /// Whether a linear layer over several rows gives equal rows equal results, to the last bit, wherever they are,
    /// and the same as over another number of rows.
    ///
    /// Libraries may compute the last rows, or few of them, by other code than the rest, which adds up in another
    /// order. This computes random rows that are all the same, and compares the results.
    ///
    /// - Parameters:
    ///   - others: the other number of rows.
    ///   - sourceStride: as in `linear`; the number of inputs unless specified.
    ///   - outputStride: as in `linear`; the number of outputs unless specified.
    ///   - operands: as in `linear`; the result is f32.
    /// - Throws: `ComputeError` when the library has no kernel for the shape, or it fails.
    package static func computesRowsAlike(
        _ engine: KernelEngine, rows: Int, asOf others: Int, inputs: Int, outputs: Int, sourceStride: Int? = nil,
        outputStride: Int? = nil, operands: OperandType
    ) throws(ComputeError) -> Bool {
        var noise = Noise()
        let (row, weight) = (noise.values(inputs), noise.values(inputs * outputs))
        return try rowsAreAlike(
            rows, asOf: others, row, sourceStride: sourceStride ?? inputs, outputs: outputs,
            outputStride: outputStride ?? outputs, operands
        ) { rows throws(ComputeError) in
            let kernel = try linear(
                engine, rows: rows, inputs: inputs, outputs: outputs, sourceStride: sourceStride,
                outputStride: outputStride, hasBias: false, accumulates: true, operands: operands)
            return (kernel, Operand(try kernel.pack(weight)))
        }
    }

    /// The same of products with a plain matrix.
    ///
    /// - Parameters:
    ///   - others: the other number of rows.
    ///   - count: the rows of the matrix if it is transposed, else its columns.
    ///   - transposed: as in `product`.
    ///   - sourceStride: as in `product`.
    ///   - operands: as in `product`; the result is f32.
    /// - Throws: `ComputeError` when the library has no kernel for the shape, or it fails.
    package static func multipliesRowsAlike(
        _ engine: KernelEngine, rows: Int, asOf others: Int, inputs: Int, outputs: Int, transposed: Bool,
        sourceStride: Int, operands: OperandType
    ) throws(ComputeError) -> Bool {
        var noise = Noise()
        let (row, matrix) = (noise.values(inputs), noise.values(inputs * outputs))
        let other = NumberBuffer(operands, count: matrix.count)
        other.set(matrix, count: matrix.count, at: 0)
        return try rowsAreAlike(
            rows, asOf: others, row, sourceStride: sourceStride, outputs: outputs, outputStride: outputs, operands
        ) { rows throws(ComputeError) in
            let kernel = try product(
                engine, m: rows, k: inputs, n: outputs, sourceStride: sourceStride,
                otherStride: transposed ? inputs : outputs, transposed: transposed, outputStride: outputs,
                operands: operands)
            return (kernel, Operand(other))
        }
    }

    private static func rowsAreAlike(
        _ rows: Int, asOf others: Int, _ row: [Float], sourceStride: Int, outputs: Int, outputStride: Int,
        _ operands: OperandType, _ plan: (_ rows: Int) throws(ComputeError) -> (Kernel, Operand)
    ) throws(ComputeError) -> Bool {
        func results(_ rows: Int) throws(ComputeError) -> FloatBuffer {
            let (kernel, weights) = try plan(rows)
            let source = NumberBuffer(operands, count: (rows - 1) * sourceStride + row.count)
            for number in 0..<rows { source.set(row, count: row.count, at: number * sourceStride) }
            let result = FloatBuffer(count: (rows - 1) * outputStride + outputs)
            result.base.update(repeating: 0, count: result.count)
            try KernelCall(
                kernel, source: Operand(source), weights: weights, destination: Operand(result),
                scratch: FloatBuffer(count: kernel.scratchCount)
            ).run()
            return result
        }
        let result = try results(rows)
        let expected = try rows == others ? result : results(others)
        return (0..<rows).allSatisfy { number in
            (0..<outputs).allSatisfy { result.base[number * outputStride + $0] == expected.base[$0] }
        }
    }
}

/// Random numbers in -1..<1.
private struct Noise {
    private var state: UInt64 = 1

    mutating func values(_ count: Int) -> [Float] {
        (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(1 << 31)
        }
    }
}
