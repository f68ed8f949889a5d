internal import CLAPACK

/// Σ xᵀx over rows of inputs: each batch of rows is multiplied in single precision, batches are summed in double.
/// Belongs to one thread.
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
        for index in sum.indices { sum[index] += Double(product[index]) }
        rows += count
    }

    /// The sum so far.
    package var matrix: Matrix { Matrix(rows: size, columns: size, values: sum) }
}
