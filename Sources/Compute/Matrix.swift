internal import CLAPACK

/// A dense row-major matrix in double precision, for the linear algebra of merging.
package struct Matrix: Sendable, Equatable {
    /// The number of rows.
    package let rows: Int
    /// The number of columns.
    package let columns: Int
    /// The elements, row by row.
    package var values: [Double]

    /// A matrix of the given elements, rows x columns of them.
    package init(rows: Int, columns: Int, values: [Double]) {
        precondition(values.count == rows * columns, "number of elements differs from the shape's")
        self.rows = rows
        self.columns = columns
        self.values = values
    }

    /// A matrix filled with one value.
    package init(rows: Int, columns: Int, repeating value: Double = 0) {
        self.init(rows: rows, columns: columns, values: [Double](repeating: value, count: rows * columns))
    }

    /// A square matrix with these values on its diagonal, zero elsewhere.
    package static func diagonal(_ values: [Double]) -> Matrix {
        var matrix = Matrix(rows: values.count, columns: values.count)
        for (index, value) in values.enumerated() { matrix[index, index] = value }
        return matrix
    }

    /// An element.
    package subscript(row: Int, column: Int) -> Double {
        get { values[row * columns + column] }
        set { values[row * columns + column] = newValue }
    }

    /// The matrix with rows and columns exchanged.
    package var transposed: Matrix {
        var result = Matrix(rows: columns, columns: rows)
        for row in 0..<rows {
            for column in 0..<columns { result.values[column * rows + row] = values[row * columns + column] }
        }
        return result
    }

    /// The Frobenius norm.
    package var norm: Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }

    /// The matrices side by side; they have the same number of rows.
    package static func side(bySide parts: [Matrix]) -> Matrix {
        let rows = parts.first?.rows ?? 0
        var result = Matrix(rows: rows, columns: parts.reduce(0) { $0 + $1.columns })
        for row in 0..<rows {
            var column = 0
            for part in parts {
                for inner in 0..<part.columns { result[row, column + inner] = part[row, inner] }
                column += part.columns
            }
        }
        return result
    }

    /// The matrices one above the other; they have the same number of columns.
    package static func stacked(_ parts: [Matrix]) -> Matrix {
        Matrix(
            rows: parts.reduce(0) { $0 + $1.rows }, columns: parts.first?.columns ?? 0, values: parts.flatMap(\.values))
    }

    /// The first `count` columns.
    package func firstColumns(_ count: Int) -> Matrix {
        Matrix(
            rows: rows, columns: count,
            values: (0..<rows).flatMap { values[$0 * columns..<$0 * columns + count] })
    }

    /// The first `count` rows.
    package func firstRows(_ count: Int) -> Matrix {
        Matrix(rows: count, columns: columns, values: Array(values[0..<count * columns]))
    }

    /// Every element times a factor.
    package static func * (factor: Double, matrix: Matrix) -> Matrix {
        Matrix(rows: matrix.rows, columns: matrix.columns, values: matrix.values.map { factor * $0 })
    }

    /// The sum of two matrices of one shape.
    package static func + (a: Matrix, b: Matrix) -> Matrix {
        Matrix(rows: a.rows, columns: a.columns, values: zip(a.values, b.values).map(+))
    }

    /// The difference of two matrices of one shape.
    package static func - (a: Matrix, b: Matrix) -> Matrix {
        Matrix(rows: a.rows, columns: a.columns, values: zip(a.values, b.values).map(-))
    }

    /// The product of two matrices.
    package static func * (a: Matrix, b: Matrix) -> Matrix { product(a, b) }

    /// op(a) · op(b), where op transposes if asked.
    package static func product(
        _ a: Matrix, transposed first: Bool = false, _ b: Matrix, transposed second: Bool = false
    )
        -> Matrix
    {
        let (m, k) = first ? (a.columns, a.rows) : (a.rows, a.columns)
        let n = second ? b.rows : b.columns
        precondition(k == (second ? b.columns : b.rows), "matrices that do not fit together")
        var result = Matrix(rows: m, columns: n)
        mv_dgemm(first ? 1 : 0, second ? 1 : 0, Int64(m), Int64(n), Int64(k), 1, a.values, b.values, 0, &result.values)
        return result
    }
}
