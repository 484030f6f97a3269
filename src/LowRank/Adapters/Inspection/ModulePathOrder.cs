namespace LowRank.Adapters.Inspection;

/// <summary>Orders module paths as people count: layer 2 before layer 10.</summary>
internal sealed class ModulePathOrder : IComparer<string>
{
    public static ModulePathOrder Instance { get; } = new();

    public int Compare(string? x, string? y)
    {
        string[] left = (x ?? "").Split('.'), right = (y ?? "").Split('.');
        for (int i = 0; i < Math.Min(left.Length, right.Length); i++)
        {
            int order = long.TryParse(left[i], out long a) && long.TryParse(right[i], out long b) ? a.CompareTo(b) : string.CompareOrdinal(left[i], right[i]);
            if (order != 0) return order;
        }
        return left.Length.CompareTo(right.Length);
    }
}
