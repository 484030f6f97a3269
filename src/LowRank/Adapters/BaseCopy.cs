using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>A weight of the base that PEFT saves beside the pair of an embedding or head (<c>base_layer.weight</c>): equal to
/// the model's own, never trained, and written again with the adapter.</summary>
/// <param name="key">Its key in the file.</param>
/// <param name="name">The parameter's name in the model.</param>
/// <param name="weight">The model's weight; not owned.</param>
/// <param name="isTable">Whether it is a whole table beside no pair, which may differ from the model's.</param>
internal sealed class BaseCopy(string key, string name, Tensor weight, bool isTable) : IFrozenPart
{
    /// <summary>The parameter's name in the model.</summary>
    public string Name => name;

    /// <summary>Whether it is a whole table beside no pair, which may differ from the model's.</summary>
    public bool IsTable => isTable;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create(key, weight)];

    /// <summary>Whether a file's copy is the model's weight.</summary>
    public bool IsEqual(Tensor copy)
    {
        using var scope = NewDisposeScope();
        return weight.detach().cpu().eq(copy.to(ScalarType.Float32)).all().item<bool>();
    }

    /// <summary>Takes the rows over that the base's own files do not have: of tokens that were added before the adapter was trained.</summary>
    public void TakeAddedRows(Tensor copy, int stored)
    {
        if (weight.dim() != 2 || weight.shape[0] <= stored) return;
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        weight.narrow(0, stored, weight.shape[0] - stored).copy_(copy.narrow(0, stored, weight.shape[0] - stored));
    }

    public void Attach()
    {
        // The model has the weight already.
    }

    public void Detach()
    {
        // As Attach.
    }

    public void Dispose()
    {
        // The weight is the model's.
    }
}
