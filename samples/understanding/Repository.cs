namespace LowRank.Samples.Understanding;

/// <summary>Finds the repository from where the program lies.</summary>
internal static class Repository
{
    public static string Root()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "LowRank.slnx"))) return folder.FullName;
        throw new InvalidOperationException("This program runs inside the repository.");
    }
}
