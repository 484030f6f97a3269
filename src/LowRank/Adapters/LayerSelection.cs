namespace LowRank.Adapters;

/// <summary>Layer numbers, from 0: one number or a list; PEFT's files keep the two apart.</summary>
public sealed class LayerSelection
{
    private LayerSelection(IReadOnlyList<int> layers, bool isList)
    {
        Layers = layers;
        IsList = isList;
    }

    /// <summary>The numbers; an empty list selects every layer, as in PEFT.</summary>
    public IReadOnlyList<int> Layers { get; }

    /// <summary>Whether it is written as a list.</summary>
    public bool IsList { get; }

    /// <summary>One layer.</summary>
    public static LayerSelection One(int layer) => new([layer], isList: false);

    /// <summary>A list of layers.</summary>
    public static LayerSelection Of(params IReadOnlyList<int> layers) => new([.. layers], isList: true);

    /// <inheritdoc/>
    public override string ToString() => IsList ? $"[{string.Join(", ", Layers)}]" : $"{Layers[0]}";
}
