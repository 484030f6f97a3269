using System.IO.Compression;

namespace LowRank.EndToEndTests;

public sealed class DeploymentTests(DeployedProgram program) : IClassFixture<DeployedProgram>
{
    [Fact]
    public async Task The_published_program_loads_torch_from_its_own_folder() =>
        await LoadsTorch(program.PublishedProgram, program.PublishFolder);

    [Fact]
    public async Task The_installed_tool_loads_torch_from_its_own_folder() =>
        await LoadsTorch(program.Tool, program.ToolFolder);

    [Fact]
    public void Only_the_libtorch_of_this_platform_is_deployed()
    {
        foreach (string folder in new[] { program.PublishFolder, program.ToolFolder })
        {
            string[] libraries = [.. Directory.EnumerateFiles(folder, "*torch_cpu.*", SearchOption.AllDirectories)
                .Select(file => Path.GetFileName(file)).Distinct()];
            string expected = OperatingSystem.IsWindows() ? "torch_cpu.dll" : OperatingSystem.IsMacOS()
                ? "libtorch_cpu.dylib" : "libtorch_cpu.so";
            Assert.Contains(expected, libraries);
            Assert.Single(libraries, name => !name.EndsWith(".lib", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task The_package_cache_is_left_as_it_was_unpacked()
    {
        // Outputs are hard links to the cache's files: one write to them would break every other program on the
        // machine.
        await LoadsTorch(program.PublishedProgram, program.PublishFolder);
        string cache = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        string package = Path.Combine(cache, "torchsharp", "0.107.0");
        using ZipArchive archive = await ZipFile.OpenReadAsync(
            Path.Combine(package, "torchsharp.0.107.0.nupkg"), TestContext.Current.CancellationToken);
        ZipArchiveEntry[] natives =
            [.. archive.Entries.Where(entry => entry.FullName.StartsWith("runtimes/", StringComparison.Ordinal))];
        Assert.NotEmpty(natives);
        foreach (ZipArchiveEntry entry in natives)
        {
            using var original = new MemoryStream();
            await using (Stream stream = await entry.OpenAsync(TestContext.Current.CancellationToken))
                await stream.CopyToAsync(original, TestContext.Current.CancellationToken);
            byte[] cached = await File.ReadAllBytesAsync(
                Path.Combine(package, entry.FullName), TestContext.Current.CancellationToken);
            Assert.True(original.ToArray().AsSpan().SequenceEqual(cached),
                $"{entry.FullName} in {package} was changed");
        }
    }

    private async Task LoadsTorch(string path, string folder)
    {
        (int exitCode, string output) = await program.Run(path, [], new Dictionary<string, string>
        {
            ["DOTNET_STARTUP_HOOKS"] = typeof(StartupHook).Assembly.Location,
            // Nothing may come from the cache instead.
            ["NUGET_PACKAGES"] = Path.Combine(folder, "no-packages"),
        });
        Assert.True(exitCode == 0, output);
        string[] lines = output.Split('\n', StringSplitOptions.TrimEntries);
        Assert.Equal("6", lines[0]);
        if (OperatingSystem.IsLinux()) Assert.StartsWith(folder, lines[1]);
    }
}
