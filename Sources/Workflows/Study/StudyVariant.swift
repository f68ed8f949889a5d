package import Adapters
import Training

/// A way of merging that a study tries: a method, whether its scale is chosen, whether tasks have streams, and whether
/// heads are aligned.
package struct StudyVariant: Sendable {
    /// The method, with its parameters as they are unless specified.
    package let method: MergeMethod
    /// Whether the scale is chosen on unlabelled images; else it is the method's own.
    package let tunes: Bool
    /// Whether each task has a stream, fitted on unlabelled images.
    package let streams: Bool
    /// Whether heads are aligned with the merged backbone on unlabelled images.
    package let aligns: Bool

    /// A way of merging.
    package init(_ method: MergeMethod, tunes: Bool = false, streams: Bool = false, aligns: Bool = false) {
        (self.method, self.tunes, self.streams, self.aligns) = (method, tunes, streams, aligns)
    }

    /// A way of merging from its name: `METHOD`, then `+tune`, `+streams` and `+align` where wanted.
    ///
    /// - Throws: `StudyPlanError.methods` when there is no such method, or it is distillation.
    package init(_ name: String) throws(StudyPlanError) {
        var parts = name.split(separator: "+", omittingEmptySubsequences: false).map(String.init)
        let text = parts.removeFirst()
        guard text != DistillationSettings.name else {
            throw .methods("\(text) trains another method's merge, which a study does not")
        }
        let method: MergeMethod
        do { method = try MergeMethod.required(text) } catch { throw .methods("\(error)") }
        guard parts.allSatisfy(["tune", "streams", "align"].contains), Set(parts).count == parts.count else {
            throw .methods("\"\(name)\": expected METHOD, with any of +tune, +streams and +align")
        }
        self.init(
            method, tunes: parts.contains("tune"), streams: parts.contains("streams"),
            aligns: parts.contains("align"))
    }

    /// Its name, such as `sum+tune+align`.
    package var name: String {
        method.name + (tunes ? "+tune" : "") + (streams ? "+streams" : "") + (aligns ? "+align" : "")
    }

    /// Whether it looks at training images.
    package var usesImages: Bool { tunes || streams || aligns || method.usesImages }

    /// The same with its scale chosen.
    package var tuned: StudyVariant { StudyVariant(method, tunes: true, streams: streams, aligns: aligns) }

    /// The same with its heads aligned.
    package var aligned: StudyVariant { StudyVariant(method, tunes: tunes, streams: streams, aligns: true) }
}
