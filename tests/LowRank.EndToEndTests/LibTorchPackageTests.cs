using System.IO.Compression;

namespace LowRank.EndToEndTests;

/// <summary>LowRank.Cpu brings the libtorch of the platform that a program is built for, and no other. The packages of
/// libtorch here have the real ones' names and a file of a few bytes.</summary>
[Collection(DeployedCollection.Name)]
public sealed class LibTorchPackageTests(DeployedProgram deployed) : IDisposable
{
    private const string LibTorch = "2.10.0";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task The_package_of_the_platform_is_fetched_and_copied_without_what_only_python_needs()
    {
        MakePackages("libtorch-cpu-linux-x64", "libtorch-cpu-win-x64", "libtorch-cpu-osx-arm64");
        (int exitCode, string output) = await Build("-r", "win-x64");
        Assert.True(exitCode == 0, output);
        Assert.Contains("Fetching libtorch-cpu-win-x64 2.10.0, once for this machine", output);
        Assert.Equal(["torch_cpu.dll"], Natives("win-x64"));

        (exitCode, output) = await Build("-r", "win-x64");
        Assert.True(exitCode == 0, output);
        Assert.DoesNotContain("Fetching", output);

        (exitCode, output) = await Build("-r", "osx-arm64");
        Assert.True(exitCode == 0, output);
        Assert.Equal(["libtorch_cpu.dylib"], Natives("osx-arm64"));
        Assert.Equal(["libtorch-cpu-osx-arm64", "libtorch-cpu-win-x64"], Fetched());
    }

    [Fact]
    public async Task A_platform_without_libtorch_is_a_warning_and_a_package_that_cannot_be_fetched_an_error()
    {
        (int exitCode, string output) = await Build("-r", "linux-arm64");
        Assert.True(exitCode == 0, output);
        Assert.Contains("warning LOWRANK001: LowRank.Cpu has no libtorch for linux-arm64", output);

        (exitCode, output) = await Build("-r", "win-x64");
        Assert.NotEqual(0, exitCode);
        Assert.Contains("error LOWRANK002: libtorch-cpu-win-x64 2.10.0 could not be fetched.", output);
        Assert.Contains("dotnet add package libtorch-cpu-win-x64 --version 2.10.0", output);
    }

    [Fact]
    public async Task A_program_that_references_cuda_keeps_it_and_nothing_is_fetched()
    {
        MakePackages("libtorch-cpu-win-x64", "libtorch-cuda-12.8-win-x64");
        (int exitCode, string output) = await Build(
            "-r", "win-x64", "-p:More=libtorch-cuda-12.8-win-x64");
        Assert.True(exitCode == 0, output);
        Assert.Equal(["torch_cpu.dll"], Natives("win-x64"));
        Assert.Equal(["libtorch-cuda-12.8-win-x64"], Fetched());
    }

    private async Task<(int ExitCode, string Output)> Build(params string[] arguments)
    {
        Directory.CreateDirectory(folder["feed"]);
        await File.WriteAllTextAsync(folder["nuget.config"], $"""
            <configuration>
              <config><add key="globalPackagesFolder" value="packages"/></config>
              <packageSources>
                <clear/>
                <add key="local" value="{deployed.Packages}"/>
                <add key="feed" value="feed"/>
              </packageSources>
              <fallbackPackageFolders><clear/></fallbackPackageFolders>
            </configuration>
            """);
        await File.WriteAllTextAsync(folder["program.csproj"], $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <SelfContained>false</SelfContained>
                <UseAppHost>false</UseAppHost>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="LowRank.Cpu" Version="{DeployedProgram.Version}" />
                <PackageReference Include="$(More)" Version="{LibTorch}" Condition="'$(More)' != ''" />
              </ItemGroup>
            </Project>
            """);
        await File.WriteAllTextAsync(folder["Program.cs"], "System.Console.WriteLine();");
        return await deployed.Run(
            "dotnet", ["build", "-c", "Release", "-nologo", "-v", "minimal", "-p:NuGetAudit=false", .. arguments],
            new Dictionary<string, string> { ["NUGET_PACKAGES"] = folder["packages"] }, folder.Path);
    }

    private string[] Natives(string platform) =>
        [.. Directory.EnumerateFiles(folder[$"bin/Release/net10.0/{platform}"])
            .Select(file => Path.GetFileName(file)!).Where(name => name.Contains("torch", StringComparison.Ordinal))];

    private string[] Fetched() => [.. Directory.EnumerateDirectories(folder["packages"], "libtorch-*")
        .Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];

    // What the real packages have: native files, and a property that says that libtorch is there.
    private void MakePackages(params string[] ids)
    {
        Directory.CreateDirectory(folder["feed"]);
        foreach (string id in ids)
        {
            string platform = string.Join('-', id.Split('-')[^2..]),
                mark = id.Contains("cuda", StringComparison.Ordinal) ? "Cuda" : "Cpu";
            (string prefix, string ending) = platform switch
            {
                "win-x64" => ("", ".dll"),
                "osx-arm64" => ("lib", ".dylib"),
                _ => ("lib", ".so"),
            };
            using var package =
                new ZipArchive(File.Create(folder[$"feed/{id}.{LibTorch}.nupkg"]), ZipArchiveMode.Create);
            Add(package, $"{id}.nuspec", $"""
                <package><metadata><id>{id}</id><version>{LibTorch}</version><authors>a</authors>
                <description>d</description></metadata></package>
                """);
            Add(package, "lib/netstandard2.0/_._", "");
            Add(package, $"buildTransitive/netstandard2.0/{id}.props", $"""
                <Project><PropertyGroup><TorchSharp{mark}Package>true</TorchSharp{mark}Package></PropertyGroup></Project>
                """);
            foreach (string name in new[] { "torch_cpu", "torch_python", "torchbind_test" })
                Add(package, $"runtimes/{platform}/native/{prefix}{name}{ending}", name);
        }
    }

    private static void Add(ZipArchive package, string name, string content)
    {
        using var writer = new StreamWriter(package.CreateEntry(name).Open());
        writer.Write(content);
    }
}
