import Adapters
import Compute
import Testing

/// Methods that work on factors, against the same rule on whole matrices by a plain singular value decomposition.
@Suite struct DenseAgreementTests {
    let tasks = RandomDeltas.three().map { $0.renamed(weight: 1) }

    func dense(_ name: String) -> [Matrix] { tasks.compactMap { $0.deltas[name]?.dense } }

    @Test func knotsUsesTheSingularVectorsOfAllChangesSideBySide() throws {
        let method = try #require(MergeMethod.named("knots-ties"))
        let merged = try method.merged(tasks, ["density": 1])
        for name in ["p", "q", "c"] {
            let deltas = dense(name)
            let u = try Matrix.side(bySide: deltas).singularValueDecomposition().u
            let coordinates = deltas.map { Matrix.product(u, transposed: true, $0) }
            var mean = 0 * coordinates[0]
            for index in mean.values.indices {
                let values = coordinates.map { $0.values[index] }
                let sign = values.reduce(0, +)
                let agreeing = values.filter { $0 * sign > 0 }
                mean.values[index] = agreeing.reduce(0, +) / Double(max(agreeing.count, 1))
            }
            let expected = u * mean
            let found = try #require(merged[name]).dense
            #expect((found - expected).norm < 1e-9 * expected.norm, "\(name)")
        }
    }

    @Test func coreTSVIsTSVOfTheWholeMatricesAtTheAdaptersRank() throws {
        let merged = try #require(MergeMethod.named("core-tsv")).merged(tasks)
        func orthogonal(_ matrix: Matrix) throws -> Matrix {
            let svd = try matrix.singularValueDecomposition()
            return svd.u * svd.vt
        }
        for name in ["p", "q"] {
            let parts = try dense(name).map { try $0.singularValueDecomposition() }
            let u = try orthogonal(.side(bySide: parts.map { $0.u.firstColumns(3) }))
            let vt = try orthogonal(.stacked(parts.map { $0.vt.firstRows(3) }))
            let expected = u * .diagonal(parts.flatMap { $0.values[..<3] }) * vt
            let found = try #require(merged[name]).dense
            #expect((found - expected).norm < 1e-12 * expected.norm, "\(name)")
        }
    }

    @Test func isotropyLevelsTheSingularValuesOfTheSum() throws {
        let sum = try #require(try MergeMethod.all[0].merged(tasks)["p"]).dense.singularValueDecomposition()
        let mean = sum.values[..<9].reduce(0, +) / 9
        for name in ["core-iso-c", "core-iso-cts", "core-tsv-iso"] {
            let method = try #require(MergeMethod.named(name))
            let merged = try #require(try method.merged(tasks)["p"])
            let values = try merged.dense.singularValueDecomposition().values
            #expect(values[..<9].allSatisfy { abs($0 - values[0]) < 1e-12 * values[0] }, "\(name)")
            #expect(values[9...].allSatisfy { $0 < 1e-12 * values[0] }, "\(name)")
            if name == "core-iso-c" { #expect(abs(values[0] - mean) < 1e-12 * mean) }
        }
    }
}
