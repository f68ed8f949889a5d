import Adapters
import Files
import Tensors
import VisionTransformers

/// What `check` found, for people and for programs.
enum CheckReport {
    /// A short report in aligned columns.
    static func text(_ check: MergeCheck) -> String {
        var text = ""
        if let base = check.base {
            let configuration = base.configuration
            text += "base \(base.folder): \(configuration.family.name), \(configuration.layers) layers of width "
            text += "\(configuration.hiddenSize)\n"
        }
        if !check.adapters.isEmpty {
            text += "\n"
            text += TextTable.aligned(
                [["adapter", "classes", "rank", "modules", "adapts"]]
                    + check.adapters.map { adapter in
                        [
                            adapter.task, "\(adapter.head.classes.count)",
                            adapter.ranks.isEmpty ? "-" : adapter.ranks.map(String.init).joined(separator: "/"),
                            "\(adapter.modules.count)",
                            (adapter.moduleKinds + adapter.traits).joined(separator: ", "),
                        ]
                    }, left: [0, 4])
        }
        let obstacles = check.findings.filter(\.isObstacle)
        text += obstacles.isEmpty ? "\nno obstacles\n" : "\nobstacles:\n"
        for finding in obstacles { text += "  \(finding.subject): \(description(of: finding.message))\n" }
        for finding in check.findings where !finding.isObstacle {
            text += "note: \(finding.subject): \(description(of: finding.message))\n"
        }
        if let interference = check.interference { text += "\n" + table(interference) }
        return text
    }

    private static func table(_ interference: Interference) -> String {
        var rows = [["pair", "norm ratio", "cosine", "columns", "rows", "clash", "worst at"]]
        for pair in interference.pairs {
            let measure = pair.measure
            rows.append(
                ["\(pair.first) - \(pair.second)"]
                    + [
                        measure.normRatio, measure.cosine, measure.columnOverlap, measure.rowOverlap, pair.clash,
                    ].map { $0.map(thousandths) ?? "-" } + [pair.worst?.parameter ?? "-"])
        }
        var text = TextTable.aligned(rows, left: [0, 6])
        if let worst = interference.worst, let parameter = worst.worst {
            text += "\n\(worst.first) and \(worst.second) clash most (\(thousandths(worst.clash))), above all in "
            text += "\(parameter.parameter) (\(thousandths(parameter.measure.clash)))\n"
        } else {
            text += "\nno two adapters clash\n"
        }
        return text
    }

    /// Everything, with each parameter of each pair.
    static func json(_ check: MergeCheck) -> JSON {
        var object: JSONObject = [
            "possible": .bool(check.isPossible),
            "findings": .array(
                check.findings.map { finding in
                    .object([
                        "kind": finding.isObstacle ? "obstacle" : "note", "subject": .string(finding.subject),
                        "message": .string(description(of: finding.message)),
                    ])
                }),
            "adapters": .array(
                check.adapters.map { adapter in
                    .object([
                        "name": .string(adapter.task), "path": .string(adapter.path),
                        "classes": .int(adapter.head.classes.count),
                        "activation": .string(adapter.head.activation.rawValue),
                        "ranks": .array(adapter.ranks.map(JSON.int)),
                        "modules": .array(adapter.modules.map(JSON.string)),
                        "traits": .array(adapter.traits.map(JSON.string)),
                    ])
                }),
        ]
        guard let interference = check.interference else { return .object(object) }
        object["norms"] = .object(
            zip(check.adapters, interference.norms).reduce(into: JSONObject()) { $0[$1.0.task] = .double($1.1) })
        object["worst"] = interference.worst.map { .array([.string($0.first), .string($0.second)]) } ?? .null
        object["pairs"] = .array(
            interference.pairs.map { pair in
                var members = self.members(pair.measure, clash: pair.clash)
                members["first"] = .string(pair.first)
                members["second"] = .string(pair.second)
                members["worst"] = pair.worst.map { .string($0.parameter) } ?? .null
                members["parameters"] = .array(
                    pair.parameters.map { parameter in
                        var members = self.members(parameter.measure, clash: parameter.measure.clash)
                        members["name"] = .string(parameter.parameter)
                        members["weight"] = .double(parameter.weight)
                        return .object(members)
                    })
                return .object(members)
            })
        return .object(object)
    }

    private static func members(_ measure: Interference.Measure, clash: Double) -> JSONObject {
        [
            "norm_ratio": measure.normRatio.flatMap { $0.isFinite ? .double($0) : nil } ?? .null,
            "cosine": .double(measure.cosine),
            "column_overlap": .double(measure.columnOverlap), "row_overlap": .double(measure.rowOverlap),
            "clash": .double(clash),
        ]
    }
}
