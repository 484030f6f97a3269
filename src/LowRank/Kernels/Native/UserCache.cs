namespace LowRank.Kernels.Native;

/// <summary>The user's cache folder.</summary>
internal static class UserCache
{
    /// <summary>The library's part of it: under XDG_CACHE_HOME, the local application data on Windows, otherwise
    /// ~/.cache.</summary>
    public static string Folder
    {
        get
        {
            string? given = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
            string root = !string.IsNullOrEmpty(given) ? given
                : OperatingSystem.IsWindows()
                    ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
            return Path.Combine(root, "lowrank");
        }
    }
}
