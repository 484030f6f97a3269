using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>A weight of the base that an adapter replaces: of a module saved whole (<c>modules_to_save</c>) or a bias
/// (<c>bias: all</c> or <c>lora_only</c>).</summary>
/// <remarks>The model has one tensor for it, which holds the adapter's values while the adapter is attached and the base's
/// own otherwise.</remarks>
internal sealed class TrainedParameter : IAdapterPart
{
    private readonly Tensor original;
    private bool isAttached;

    public TrainedParameter(string key, string name, Tensor parameter)
    {
        Key = key;
        Name = name;
        Parameter = parameter;
        using var noGradient = no_grad();
        original = parameter.detach().clone().DetachFromDisposeScope();
        Value = parameter.detach().clone().DetachFromDisposeScope();
    }

    /// <summary>Its key in the adapter's file.</summary>
    public string Key { get; }

    /// <summary>Whether it is replaced but not trained.</summary>
    public bool IsFrozen { get; init; }

    /// <summary>The parameter's name in the model.</summary>
    public string Name { get; }

    /// <summary>The model's tensor.</summary>
    public Tensor Parameter { get; }

    /// <summary>The adapter's values while it is detached.</summary>
    public Tensor Value { get; }

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create(Key, isAttached ? Parameter : Value)];

    public void Attach()
    {
        if (isAttached) return;
        using var noGradient = no_grad();
        Parameter.copy_(Value);
        isAttached = true;
    }

    public void Detach()
    {
        if (!isAttached) return;
        isAttached = false;
        Parameter.requires_grad = false;
        Value.copy_(Parameter);
        Parameter.copy_(original);
    }

    public void Dispose()
    {
        original.Dispose();
        Value.Dispose();
    }
}
