namespace LowRank.Adapters;

/// <summary>Which biases of the base are trained and saved with the adapter (<c>bias</c>).</summary>
public enum BiasTraining
{
    /// <summary>None ("none"): the default.</summary>
    None,

    /// <summary>Those of the adapted layers ("lora_only").</summary>
    Adapted,

    /// <summary>Every bias of the model ("all").</summary>
    All,
}
