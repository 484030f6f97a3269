using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>A row that was found in a file and is read when it is needed.</summary>
internal abstract class UnreadRow(DataPlace place)
{
    /// <summary>Where it stands.</summary>
    public DataPlace Place { get; } = place;

    /// <summary>Its fields; null where it cannot be read, which is noted.</summary>
    public abstract JsonObject? Read(DataProblems problems);

    /// <summary>About how much memory it takes.</summary>
    public abstract long Bytes { get; }

    /// <summary>The row in memory of its own, for keeping beyond the next one of the file.</summary>
    public virtual UnreadRow Keep() => this;
}
