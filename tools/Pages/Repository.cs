namespace LowRank.Pages;

/// <summary>The repository that a program runs in.</summary>
public static class Repository
{
    /// <summary>Its folder: the current one, or one above it.</summary>
    /// <exception cref="InputException">The program does not run inside the repository.</exception>
    public static string Find()
    {
        DirectoryInfo? folder = new(Directory.GetCurrentDirectory());
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "LowRank.slnx")))
            folder = folder.Parent;
        return folder?.FullName ?? throw new InputException(
            "LowRank.slnx was not found here or above; run the program inside the repository.");
    }
}
