import Compute
import Testing

@Suite struct EigenvectorTests {
    @Test func leadingEigenvectorsAreOrthonormalAndDescending() throws {
        let rows = 9
        let matrix = Matrix(rows: rows, columns: 5, values: (0..<45).map { Double(($0 * 37) % 23) - 11 })
        let gram = Matrix.product(matrix, transposed: false, matrix, transposed: true)
        let vectors = try gram.leadingEigenvectors(3)
        let svd = try matrix.singularValueDecomposition()
        let identity = Matrix.product(vectors, transposed: false, vectors, transposed: true)
        #expect((identity - .diagonal([1, 1, 1])).norm < 1e-12)
        for place in 0..<3 {
            let vector = Matrix(
                rows: 1, columns: rows, values: Array(vectors.values[place * rows..<(place + 1) * rows]))
            let value = (vector * gram).norm
            #expect(abs(value.squareRoot() - svd.values[place]) < 1e-9)
        }
        // More than there are: all.
        #expect(try gram.leadingEigenvectors(100).rows == rows)
        #expect(throws: ComputeError.self) {
            try Matrix(rows: 2, columns: 2, repeating: .nan).leadingEigenvectors(1)
        }
    }
}
