namespace LowRank.Data.Packing;

/// <summary>Whether rows that begin with the same tokens compute them once.</summary>
public enum PromptSharing
{
    /// <summary>Every row computes all its tokens.</summary>
    Off,

    /// <summary>Rows that meet in a step share; which rows a step takes stays as it is.</summary>
    InStep,

    /// <summary>Rows of one prompt are also taken one after the other, so that they meet: an epoch draws the order of the prompts
    /// instead of that of the rows.</summary>
    Grouped,
}
