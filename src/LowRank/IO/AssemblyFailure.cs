namespace LowRank;

/// <summary>A library beside the program that is missing or damaged: .NET reports it as a file that was not
/// found.</summary>
internal static class AssemblyFailure
{
    /// <summary>The library's name where an exception says that one could not be loaded; else null.</summary>
    public static string? Name(Exception failure)
    {
        if (failure is TypeInitializationException { InnerException: { } inner }) return Name(inner);
        string? name = failure switch
        {
            FileNotFoundException missing => missing.FileName,
            FileLoadException broken => broken.FileName,
            BadImageFormatException damaged => damaged.FileName,
            _ => null,
        };
        // Files that are read have no version in their names.
        return name is not null && name.Contains(", Version=", StringComparison.Ordinal)
            ? name[..name.IndexOf(',')] : null;
    }
}
