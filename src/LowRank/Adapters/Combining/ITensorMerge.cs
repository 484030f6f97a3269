using static TorchSharp.torch;

namespace LowRank.Adapters.Combining;

/// <summary>A way to make one tensor of several. Found by type: adding one edits no list.</summary>
internal interface ITensorMerge
{
    /// <summary>Its name as PEFT's add_weighted_adapter has it.</summary>
    string Name { get; }

    /// <summary>Whether it leaves values out, and so needs a density.</summary>
    bool Prunes { get; }

    /// <summary>Whether what is left out is drawn.</summary>
    bool IsRandom => false;

    /// <summary>Whether signs are elected, by their sum or their number.</summary>
    bool ElectsSigns => false;

    /// <summary>Merges tensors of one shape.</summary>
    /// <param name="tensors">The tensors.</param>
    /// <param name="weights">A weight for each.</param>
    /// <param name="options">Density, sign and seed.</param>
    /// <returns>In the caller's dispose scope.</returns>
    Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options);
}
