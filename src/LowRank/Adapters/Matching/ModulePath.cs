namespace LowRank.Adapters.Matching;

/// <summary>Parts of a module's path.</summary>
internal static class ModulePath
{
    /// <summary>The ends of a path after each point, the shortest first, without the path itself: c, b.c of a.b.c.</summary>
    public static IEnumerable<string> Endings(string path)
    {
        for (int point = path.LastIndexOf('.'); point >= 0; point = point == 0 ? -1 : path.LastIndexOf('.', point - 1))
            yield return path[(point + 1)..];
    }

    /// <summary>The paths that hold a path: a, a.b of a.b.c.</summary>
    public static IEnumerable<string> Containers(string path)
    {
        for (int point = path.IndexOf('.'); point >= 0; point = path.IndexOf('.', point + 1)) yield return path[..point];
    }

    /// <summary>What stands behind the last point.</summary>
    public static string LastName(string path) => path[(path.LastIndexOf('.') + 1)..];
}
