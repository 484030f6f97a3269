namespace LowRank.Adapters;

/// <summary>What a config is used for; decides what is an error and what is only worth a warning.</summary>
public enum AdapterUse
{
    /// <summary>A new adapter: everything the user asked for must have an effect.</summary>
    Create,

    /// <summary>An adapter that exists: its tensors say what it adapts, so a name that matches nothing (which PEFT passes
    /// over) is a warning, and how its weights once began no longer matters where the base was left as it is.</summary>
    Load,
}
