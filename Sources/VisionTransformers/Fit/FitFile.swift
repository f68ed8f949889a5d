import Files
import Glibc
import Tensors

/// The file of a bundle's fits; see docs/bundle-format.md. It is beside `bundle.json`, and bundles without it have no
/// fits.
package struct FitFile: Sendable {
    /// The file's name.
    package static let name = "fit.safetensors"

    /// The version of the format that this program writes and reads.
    private static let version = "1"
    private static let format = "mergevit fit"

    /// The fits of each group of tasks, nil for a group without any.
    package var groups: [GroupFit?]

    /// Fits, in the order of a bundle's groups.
    package init(groups: [GroupFit?]) { self.groups = groups }

    /// The fit of a task, if it has one.
    package func fit(_ task: String) -> TaskFit? { groups.lazy.compactMap { $0?.tasks[task] }.first }

    /// Whether no task has a fit.
    package var isEmpty: Bool { groups.allSatisfy { $0?.tasks.isEmpty ?? true } }

    // MARK: Reading

    /// Reads the file of a bundle, or gives nil when the bundle has none.
    ///
    /// - Parameters:
    ///   - tasks: the tasks of each group.
    ///   - summaryCount: the number of elements of a summary, which all groups share.
    /// - Throws: `FileError` when it is damaged; `ModelError` naming a tensor that is missing, of another shape, not
    ///   finite, or of no task.
    package init?(folder: String, tasks: [[String]], summaryCount: Int) throws {
        let path = "\(folder)/\(Self.name)"
        guard access(path, F_OK) == 0 else { return nil }
        let file = try SafetensorsFile(path: path)
        guard file.metadata["format"] == Self.format else {
            throw ModelError(path, "format: expected \"\(Self.format)\", found \(Self.shown(file.metadata["format"]))")
        }
        guard file.metadata["format_version"] == Self.version else {
            throw ModelError(
                path, "format_version: expected \(Self.version), found \(Self.shown(file.metadata["format_version"]))",
                remedy: ModelRemedy.fit)
        }
        var known: Set<String> = []
        func numbers(_ name: String, _ shape: [Int?]) throws -> Tensor {
            let tensor = try file.tensor(name)
            guard tensor.shape.count == shape.count, zip(tensor.shape, shape).allSatisfy({ $1 == nil || $0 == $1 })
            else {
                let expected = shape.map { $0.map(String.init) ?? "any" }.joined(separator: ", ")
                throw ModelError(path, "\(name): expected [\(expected)], found \(tensor.shape)")
            }
            try tensor.checkFinite(name, path: path)
            known.insert(name)
            return tensor
        }
        func distribution(_ name: String) throws -> SummaryDistribution {
            let directions = try numbers("\(name).directions", [nil, summaryCount])
            let variances = try numbers("\(name).variances", [directions.shape[0] + 1])
            guard variances.values.allSatisfy({ $0 > 0 && (1 / $0).isFinite }) else {
                throw ModelError(path, "\(name).variances: expected positive numbers")
            }
            return SummaryDistribution(
                mean: try numbers("\(name).mean", [summaryCount]).values, directions: directions.values,
                variances: variances.values)
        }
        groups = try tasks.enumerated().map { index, tasks in
            let fitted = tasks.filter { file.entry("\($0).mean") != nil }
            guard !fitted.isEmpty else { return nil }
            let background = try distribution(Self.background(index))
            var group = GroupFit(background: background, tasks: [:])
            for task in fitted {
                let heldOut = try numbers("\(task).held_out", [nil]).values
                guard !heldOut.isEmpty else { throw ModelError(path, "\(task).held_out: expected numbers, found none") }
                group.tasks[task] = TaskFit(task: task, distribution: try distribution(task), heldOut: heldOut)
            }
            return group
        }
        if let extra = file.entries.first(where: { !known.contains($0.name) }) {
            throw ModelError(
                path, "tensor \"\(extra.name)\" belongs to no task of bundle.json", remedy: ModelRemedy.fit)
        }
    }

    private static func shown(_ text: String?) -> String { text.map { "\"\($0)\"" } ?? "none" }

    /// The name of a group's background. No task's name has a slash.
    private static func background(_ group: Int) -> String { "background/\(group + 1)" }

    // MARK: Writing

    /// Writes the file. The same fits give the same bytes.
    ///
    /// - Parameter tasks: the tasks of each group, in the order in which they are written.
    /// - Throws: `FileError` when it cannot be written.
    package func write(to path: String, tasks: [[String]]) throws {
        var tensors: [(name: String, tensor: Tensor)] = []
        func add(_ name: String, _ distribution: SummaryDistribution) {
            let (rank, count) = (distribution.rank, distribution.count)
            tensors += [
                ("\(name).mean", Tensor(shape: [count], values: Array(distribution.mean.elements))),
                ("\(name).directions", Tensor(shape: [rank, count], values: Array(distribution.directions.elements))),
                ("\(name).variances", Tensor(shape: [rank + 1], values: distribution.variances)),
            ]
        }
        for (index, group) in groups.enumerated() {
            guard let group, !group.tasks.isEmpty else { continue }
            add(Self.background(index), group.background)
            for task in tasks[index] {
                guard let fit = group.tasks[task] else { continue }
                add(task, fit.distribution)
                tensors.append(("\(task).held_out", Tensor(shape: [fit.heldOut.count], values: fit.heldOut)))
            }
        }
        let writer = try SafetensorsWriter(
            path: path, declarations: tensors.map { .init(name: $0.name, shape: $0.tensor.shape) },
            metadata: ["format": Self.format, "format_version": Self.version])
        for (name, tensor) in tensors { try writer.append(name, tensor) }
        try writer.finish()
    }
}
