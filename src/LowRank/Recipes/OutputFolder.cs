namespace LowRank.Recipes;

/// <summary>The folder that receives a run.</summary>
internal static class OutputFolder
{
    /// <summary>Requires that the folder can be made. Nothing is written.</summary>
    /// <exception cref="InputException">A file stands in its way.</exception>
    public static void Check(string path)
    {
        for (string? at = path; at is not null; at = Path.GetDirectoryName(at))
        {
            if (Directory.Exists(at)) return;
            if (File.Exists(at)) throw new InputException($"output is {path}, and {(at == path ? "that" : at)} is a file; expected a folder, or a place where one can be made.");
        }
    }
}
