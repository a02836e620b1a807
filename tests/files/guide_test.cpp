// What docs/guide/static-files.md shows, on real files.

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "served_files.hpp"

namespace microdot_test {
namespace {

TEST(StaticFilesGuide, TheExampleServesWhatItSays) {
  char name[] = "/tmp/microdot-guide-XXXXXX";
  const std::filesystem::path base = mkdtemp(name);
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::create_directories(base / "static");
  std::filesystem::create_directories(base / "reports");
  std::ofstream(base / "static/index.html") << "home";
  std::ofstream(base / "static/404.html") << "lost";
  std::ofstream(base / "reports/2024.pdf") << "report";
  std::filesystem::current_path(base);
  {
    App app;
    app.static_files("/static", "static", {.max_age = 3600});
    app.get("/", [](Request&) { return send_file("static/index.html"); });
    app.get("/reports/<int:year>", [](Request& req, int year) {
      return send_file(req.format("{}.pdf", year), {.root = "reports"});
    });
    app.errorhandler(404, [](Request&) { return send_file("static/404.html", {.status_code = 404}); });

    TestClient client(app);
    ASSERT_TRUE(client.started()) << client.sim().log_text();
    EXPECT_EQ(client.get("/").text, "home");
    const TestResponse index = client.get("/static/");
    EXPECT_EQ(index.text, "home");
    EXPECT_EQ(index.headers["Cache-Control"], "max-age=3600");
    EXPECT_EQ(client.get("/static").headers["Location"], "/static/");
    const TestResponse report = client.get("/reports/2024");
    EXPECT_EQ(report.text, "report");
    EXPECT_EQ(report.headers["Content-Type"], "application/pdf");
    const TestResponse lost = client.get("/reports/2023");
    EXPECT_EQ(lost.status_code, 404);
    EXPECT_EQ(lost.text, "lost");
    EXPECT_EQ(client.get("/static/nothing").text, "lost");
  }
  std::filesystem::current_path(before);
  std::filesystem::remove_all(base);
}

}  // namespace
}  // namespace microdot_test
