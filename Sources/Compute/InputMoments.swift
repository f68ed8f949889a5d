internal import CLAPACK

/// Means and covariances of a layer's inputs, one row per token, summed in the order in which they are added. For
/// quantization, which needs them centred; see `GramMatrix`. Belongs to one thread at a time.
package final class InputMoments {
    /// The number of channels.
    package let size: Int
    /// How many rows have been added.
    package private(set) var rows = 0
    /// The mean of the first rows, which is subtracted from all rows: otherwise channels that hardly vary around their
    /// mean would leave nothing but rounding errors.
    private var origin: [Float] = []
    private var sums: [Double]
    /// The upper triangle of Σ xᵀx.
    private var products: [Float]

    /// Moments of nothing yet.
    package init(size: Int) {
        self.size = size
        sums = [Double](repeating: 0, count: size)
        products = [Float](repeating: 0, count: size * size)
    }

    /// Adds dense rows of `size` elements. BLAS may use several threads, unless limited (`BLASThreads`).
    package func add(_ values: UnsafePointer<Float>, rows count: Int) {
        if origin.isEmpty {
            origin = (0..<size).map { channel in
                let sum = (0..<count).reduce(0.0) { $0 + Double(values[$1 * size + channel]) }
                return Float(sum / Double(max(count, 1)))
            }
        }
        let (width, origin) = (self.size, self.origin)
        var moved = [Float](repeating: 0, count: count * width)
        moved.withUnsafeMutableBufferPointer { moved in
            for row in 0..<count {
                for channel in 0..<width {
                    moved[row * width + channel] = values[row * width + channel] - origin[channel]
                }
            }
        }
        sums.addRows(moved, count: count)
        mv_sgram_add(Int64(count), Int64(size), moved, &products)
        rows += count
    }

    /// The mean of each channel.
    package var mean: [Float] { zip(origin, sums).map { Float(Double($0) + $1 / Double(max(rows, 1))) } }

    /// The standard deviation of each channel.
    package var deviation: [Float] { (0..<size).map { Float(max(covariance($0, $0), 0).squareRoot()) } }

    /// The covariances of the channels, each divided by its divisor, (size, size).
    package func covariances(dividedBy divisor: [Float]) -> Matrix {
        var matrix = Matrix(rows: size, columns: size)
        for row in 0..<size {
            for column in row..<size {
                let value = covariance(row, column) / (Double(divisor[row]) * Double(divisor[column]))
                matrix.values[row * size + column] = value
                matrix.values[column * size + row] = value
            }
        }
        return matrix
    }

    private func covariance(_ row: Int, _ column: Int) -> Double {
        let count = Double(max(rows, 1))
        return Double(products[row * size + column]) / count - sums[row] / count * (sums[column] / count)
    }
}

/// Σ xᵀx over rows of inputs: each batch of rows is multiplied in single precision, batches are summed in double. For
/// RegMean, whose formula wants it not centred; `InputMoments` would give other bits. Belongs to one thread at a time.
package final class GramMatrix {
    /// The number of columns.
    package let size: Int
    /// How many rows have been added.
    package private(set) var rows = 0
    private var sum: [Double]
    private var product: [Float]

    /// A sum of nothing yet.
    package init(size: Int) {
        self.size = size
        sum = [Double](repeating: 0, count: size * size)
        product = [Float](repeating: 0, count: size * size)
    }

    /// Adds dense rows of `size` elements.
    package func add(_ values: UnsafePointer<Float>, rows count: Int) {
        mv_sgram(Int64(count), Int64(size), values, &product)
        sum.addRows(product, count: 1)
        rows += count
    }

    /// The sum so far.
    package var matrix: Matrix { Matrix(rows: size, columns: size, values: sum) }
}
