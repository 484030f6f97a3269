namespace LowRank.Data.Rows;

/// <summary>What becomes of rows that cannot be used.</summary>
public enum BadRows
{
    /// <summary>They end the run; all are counted, and the first ten shown.</summary>
    Error,

    /// <summary>They are left out, counted, and the first ten shown.</summary>
    Skip,
}
