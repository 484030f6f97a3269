using System.Diagnostics;
using System.Runtime.InteropServices;

namespace LowRank.EndToEndTests;

/// <summary>What users get: the packages, the command line installed from them as a tool, and published. Made once for
/// all tests, in a folder of its own (the outputs of a build that is running beside the tests are not touched), and
/// removed after them.</summary>
public sealed class DeployedProgram : IAsyncLifetime
{
    private readonly string root = Directory.CreateTempSubdirectory("lowrank-deploy-").FullName;

    public string PublishFolder => Path.Combine(root, "publish");

    public string PublishedProgram => Path.Combine(PublishFolder, "LowRank.Cli" + Extension);

    public string ToolFolder => Path.Combine(root, "tool");

    public string Tool => Path.Combine(ToolFolder, "lowrank" + Extension);

    /// <summary>Published as one file, beside which native libraries and the embedded base lie.</summary>
    public string SingleFile => Path.Combine(SingleFileFolder, "LowRank.Cli" + Extension);

    public string SingleFileFolder => Path.Combine(root, "single");

    /// <summary>All packages, as they are for this platform.</summary>
    public string Packages => Path.Combine(root, "packages");

    /// <summary>A folder for what one test makes.</summary>
    public string Folder(string name) => Directory.CreateDirectory(Path.Combine(root, name)).FullName;

    /// <summary>The version of the packages.</summary>
    public const string Version = "0.0.1-test";

    /// <summary>Where NuGet keeps this machine's packages.</summary>
    public static string PackageCache => Environment.GetEnvironmentVariable("NUGET_PACKAGES") ?? Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");

    private static string Extension => OperatingSystem.IsWindows() ? ".exe" : "";

    public async ValueTask InitializeAsync()
    {
        string source = Path.Combine(CommandLine.Repository, "src"), project = Path.Combine(source, "LowRank.Cli"),
            platform = RuntimeInformation.RuntimeIdentifier;
        string[] common =
            ["-c", "Release", "--artifacts-path", Path.Combine(root, "artifacts"), "-nologo", "-v", "quiet",
            $"-p:PackageVersion={Version}", "-p:RunAnalyzers=false", "-p:ContinuousIntegrationBuild=true",
            // libtorch is half a gigabyte: linked where it is published, not copied.
            "-p:CreateHardLinksForPublishFilesIfPossible=true"];
        await Make("dotnet", ["pack", project, "-o", Packages, $"-p:ToolPlatforms={platform}", .. common]);
        string[] published = ["publish", project, "-r", platform, "--no-build", .. common];
        await Make("dotnet", [.. published, "-o", PublishFolder]);
        await Make("dotnet", [.. published, "-o", SingleFileFolder, "-p:PublishSingleFile=true"]);
        string libraries = Path.Combine(root, "libraries.slnx");
        await File.WriteAllTextAsync(libraries, $"<Solution>{string.Concat(
            Directory.EnumerateFiles(source, "*.csproj", SearchOption.AllDirectories)
                .Where(file => Path.GetDirectoryName(file) != project
                    && !File.ReadAllText(file).Contains("<IsPackable>false<", StringComparison.Ordinal))
                .Select(file => $"<Project Path=\"{file}\" />"))}</Solution>");
        await Make("dotnet", ["pack", libraries, $"-p:PackageOutputPath={Packages}", .. common]);
        // No other source: the tool must be complete in its package, and installing it must not need the network.
        string configuration = Path.Combine(root, "nuget.config");
        await File.WriteAllTextAsync(configuration,
            """
            <configuration>
              <packageSources><clear/><add key="local" value="packages"/></packageSources>
            </configuration>
            """);
        await Make("dotnet",
            ["tool", "install", "LowRank.Cli", "--version", Version, "--tool-path", ToolFolder, "--configfile",
                configuration]);
    }

    // Takes turns like a test, which this is not.
    private async Task Make(string program, IReadOnlyList<string> arguments)
    {
        using var turn = MachineLock.Beside();
        await Succeed(program, arguments);
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(root, recursive: true);
        return ValueTask.CompletedTask;
    }

    /// <summary>Runs a program to its end, in a folder that holds no sources of ours.</summary>
    public async Task<(int ExitCode, string Output)> Run(
        string program, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string>? environment = null,
        string? folder = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? root,
        };
        // The shared runtime this test runs on; and no build server that would outlive it.
        start.Environment["DOTNET_ROOT"] =
            Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        start.Environment["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0";
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["UseSharedCompilation"] = "false";
        foreach ((string key, string value) in environment ?? new Dictionary<string, string>())
            start.Environment[key] = value;
        using Process process = Process.Start(start)
            ?? throw new InvalidOperationException($"{program} did not start.");
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(CommandLine.Longest);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException e)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException(
                $"{program} {string.Join(' ', arguments)} did not end within {CommandLine.Longest.TotalMinutes} " +
                "minutes.", e);
        }
        return (process.ExitCode, await output + await errors);
    }

    /// <summary>As <see cref="Run"/>, of what has to end well.</summary>
    /// <returns>What it printed.</returns>
    public async Task<string> Succeed(string program, IReadOnlyList<string> arguments, string? folder = null)
    {
        (int exitCode, string output) = await Run(program, arguments, folder: folder);
        if (exitCode != 0)
            throw new InvalidOperationException(
                $"{program} {string.Join(' ', arguments)} ended with {exitCode}:\n{output}");
        return output;
    }
}

/// <summary>Tests of what users get, which is made once for all of them.</summary>
[CollectionDefinition(Name)]
public sealed class DeployedCollection : ICollectionFixture<DeployedProgram>
{
    public const string Name = "deployed";
}
