// Channel: who gets what is published, and what slow subscribers cost.

#include <microdot/async/channel.hpp>

#include <memory>
#include <optional>

#include <microdot/async/gather.hpp>

#include "sim_run.hpp"

namespace microdot_test {
namespace {

class ChannelTest : public AsyncTest {
 protected:
  template <std::size_t N>
  Task<> subscriber(Channel<int>* channel, const char* name, WhenSlow when_slow, int pause = 0) {
    Channel<int>::Subscription<N> subscription(*channel, when_slow);
    while (auto value = co_await subscription.next()) {
      note(name + std::to_string(*value));
      if (pause != 0) co_await sleep_for(std::chrono::milliseconds(pause));
    }
    note(std::string(name) + "!");
  }
};

TEST_F(ChannelTest, EverySubscriberGetsEveryMessageInOrder) {
  run([&]() -> Task<> {
    Channel<int> channel;
    TaskHandle a = create_task(subscriber<4>(&channel, "a", WhenSlow::wait));
    TaskHandle b = create_task(subscriber<4>(&channel, "b", WhenSlow::drop_oldest));
    co_await yield();
    EXPECT_EQ(channel.subscribers(), 2U);
    EXPECT_EQ(channel.publish(1), 2U);
    EXPECT_EQ(channel.publish(2), 2U);
    co_await sleep_for(1ms);
    channel.close();
    co_await a;
    co_await b;
    EXPECT_EQ(channel.subscribers(), 0U);
    EXPECT_EQ(channel.publish(3), 0U);
  });
  EXPECT_EQ(notes_, "a1 a2 b1 b2 a! b!");
}

TEST_F(ChannelTest, OldestAreDroppedForTheSlow) {
  run([&]() -> Task<> {
    Channel<int> channel;
    TaskHandle slow = create_task(subscriber<2>(&channel, "s", WhenSlow::drop_oldest, 100));
    co_await yield();
    for (int i = 1; i <= 6; ++i) {
      channel.publish(i);
      co_await sleep_for(1ms);
    }
    EXPECT_EQ(channel.dropped(), 3U);
    channel.close();
    co_await slow;
  });
  EXPECT_EQ(notes_, "s1 s5 s6 s!");
}

TEST_F(ChannelTest, SlowSubscribersCanBeClosed) {
  run([&]() -> Task<> {
    Channel<int> channel;
    TaskHandle slow = create_task(subscriber<2>(&channel, "s", WhenSlow::close, 100));
    TaskHandle quick = create_task(subscriber<2>(&channel, "q", WhenSlow::close));
    co_await yield();
    for (int i = 1; i <= 5; ++i) {
      channel.publish(i);
      co_await sleep_for(1ms);
    }
    EXPECT_EQ(channel.subscribers(), 1U);
    EXPECT_EQ(channel.closed_slow(), 1U);
    EXPECT_EQ(channel.dropped(), 0U);
    co_await slow;
    channel.close();
    co_await quick;
  });
  EXPECT_EQ(notes_, "s1 q1 q2 q3 q4 q5 s2 s3 s! q!");
}

TEST_F(ChannelTest, SendWaitsForThoseWhoMayMakeItWait) {
  run([&]() -> Task<> {
    Channel<int> channel;
    TaskHandle slow = create_task(subscriber<1>(&channel, "s", WhenSlow::wait, 100));
    co_await yield();
    for (int i = 1; i <= 4; ++i) co_await channel.send(i);
    EXPECT_EQ(ms(), 200);
    EXPECT_EQ(channel.publish(5), 0U);  // does not wait
    EXPECT_EQ(channel.dropped(), 1U);
    channel.close();
    co_await slow;
  });
  EXPECT_EQ(notes_, "s1 s2 s3 s4 s!");
}

TEST_F(ChannelTest, SendersGoOnWhenTheSlowOneLeaves) {
  run([&]() -> Task<> {
    Channel<int> channel;
    TaskHandle slow = create_task(subscriber<1>(&channel, "s", WhenSlow::wait, 10'000));
    co_await yield();
    const auto sender = [](Channel<int>* to, int first) -> Task<> {
      for (int i = first; i < first + 3; ++i) co_await to->send(i);
    };
    TaskHandle one = create_task(sender, &channel, 10);
    TaskHandle two = create_task(sender, &channel, 20);
    co_await sleep_for(5ms);
    EXPECT_FALSE(one.done());
    two.cancel();
    slow.cancel();
    co_await one;
    EXPECT_EQ(ms(), 5);
  });
  EXPECT_EQ(notes_, "s10");
}

TEST_F(ChannelTest, EndingWhoWaitsLosesNothing) {
  run([&]() -> Task<> {
    Channel<int> channel;
    Channel<int>::Subscription<2> subscription(channel);
    const auto next = [](Channel<int>::Subscription<2>* of) -> Task<int> { co_return *co_await of->next(); };
    const Result<int> none = co_await wait_for(next(&subscription), 5ms);
    EXPECT_EQ(none.error(), Error::timeout);
    channel.publish(1);
    const Result<int> one = co_await subscription.next();
    EXPECT_EQ(*one, 1);
  });
}

TEST_F(ChannelTest, MessagesThatAreNotTakenAreDestroyed) {
  auto value = std::make_shared<int>(1);
  run([&]() -> Task<> {
    Channel<std::shared_ptr<int>> channel;
    {
      Channel<std::shared_ptr<int>>::Subscription<3> subscription(channel);
      for (int i = 0; i < 5; ++i) channel.publish(value);
      EXPECT_EQ(value.use_count(), 4);
      const auto one = co_await subscription.next();
      EXPECT_EQ(subscription.size(), 2U);
      EXPECT_EQ(subscription.dropped(), 2U);
    }
    EXPECT_EQ(value.use_count(), 1);
  });
}

TEST_F(ChannelTest, SubscriptionMayOutliveItsChannel) {
  run([&]() -> Task<> {
    std::optional<Channel<int>> channel(std::in_place);
    Channel<int>::Subscription<2> subscription(*channel);
    channel->publish(1);
    channel.reset();
    const Result<int> one = co_await subscription.next();
    EXPECT_EQ(*one, 1);
    const Result<int> end = co_await subscription.next();
    EXPECT_EQ(end.error(), Error::closed);
  });
}

}  // namespace
}  // namespace microdot_test
