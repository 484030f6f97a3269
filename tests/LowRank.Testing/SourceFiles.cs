namespace LowRank.Testing;

/// <summary>Source files of the repository, without what builds have left.</summary>
public static class SourceFiles
{
    /// <summary>The C# files of a folder and those below it, in order.</summary>
    public static IEnumerable<string> In(string folder) =>
        Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(path => !Path.GetRelativePath(folder, path).Split(Path.DirectorySeparatorChar)
                .Any(part => part is "obj" or "bin"))
            .Order(StringComparer.Ordinal);
}
