using LowRank.Data;

namespace LowRank.Training.Preferences;

/// <summary>An objective that may compare with a reference model.</summary>
internal interface IReferencedObjective : IObjective
{
    /// <summary>The model to compare with; null for the model itself, and for objectives without one.</summary>
    ReferenceModel? Reference { get; set; }

    /// <summary>The rows of examples whose reference is needed, in the groups in which they are computed.</summary>
    IEnumerable<IReadOnlyList<TokenizedExample>> Compared(IEnumerable<IExample> examples);

    /// <summary>log π of each row of a group, by the model as it is.</summary>
    IReadOnlyList<float> Scores(IReadOnlyList<TokenizedExample> group);
}
