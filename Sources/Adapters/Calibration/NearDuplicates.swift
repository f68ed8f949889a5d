import Compute
import Files

/// A search for images of a task that are nearly the same.
enum NearDuplicates {
    /// Images are alike if the cosine of their features, after the mean over the task is subtracted, is at least this.
    /// It finds copies, crops and neighbouring frames; images that only show the same kind of thing stay below.
    static let cosine = 0.9
    /// Each image is compared with so many that follow it, which of fewer images is all pairs.
    static let reach = 20_000
    /// Images whose features are compared at once.
    private static let block = 256

    /// Groups images by the first `columns` of their features: those that are alike, and those that these are like.
    static func groups(_ table: FeatureTable, columns: Int, reach: Int = reach) throws -> ImageGroups {
        let unit = directions(table, columns)
        var parents = Array(0..<table.rows)
        func root(_ image: Int) -> Int {
            var image = image
            while parents[image] != image {
                parents[image] = parents[parents[image]]
                image = parents[image]
            }
            return image
        }
        for start in stride(from: 0, to: table.rows, by: block) {
            try LongWork.report("comparing images", start, of: table.rows)
            let rows = start..<min(start + block, table.rows)
            let others = start..<min(rows.upperBound + reach, table.rows)
            let cosines = Matrix.product(unit.part(rows), transposed: false, unit.part(others), transposed: true)
            for row in rows {
                for other in max(row + 1, others.lowerBound)..<max(others.upperBound, row + 1)
                where cosines[row - start, other - start] >= cosine {
                    let (first, second) = (root(row), root(other))
                    parents[max(first, second)] = min(first, second)
                }
            }
        }
        return ImageGroups(.features(cosine: cosine), labels: (0..<table.rows).map(root))
    }

    /// Centred features of length 1. Those that are the mean itself are all alike.
    private static func directions(_ table: FeatureTable, _ columns: Int) -> Matrix {
        var result = Matrix(rows: table.rows, columns: columns)
        var mean = [Double](repeating: 0, count: columns)
        for row in 0..<table.rows {
            for column in 0..<columns { mean[column] += Double(table.values[row * table.width + column]) }
        }
        for row in 0..<table.rows {
            var (squares, whole) = (0.0, 0.0)
            for column in 0..<columns {
                let value = Double(table.values[row * table.width + column])
                result[row, column] = value - mean[column] / Double(table.rows)
                squares += result[row, column] * result[row, column]
                whole += value * value
            }
            let isMean = squares <= 1e-12 * whole
            for column in 0..<columns {
                result[row, column] = isMean ? (column == 0 ? 1 : 0) : result[row, column] / squares.squareRoot()
            }
        }
        return result
    }
}

extension Matrix {
    fileprivate func part(_ range: Range<Int>) -> Matrix {
        Matrix(
            rows: range.count, columns: columns,
            values: Array(values[range.lowerBound * columns..<range.upperBound * columns]))
    }
}

extension FeatureTable {
    /// The images of the rows in groups of near-duplicates.
    ///
    /// - Parameter columns: the features that are compared, which are the first: those of the CLS token.
    /// - Throws: `CancellationRequested`.
    package func nearDuplicates(columns: Int) throws -> ImageGroups {
        try NearDuplicates.groups(self, columns: columns)
    }
}
